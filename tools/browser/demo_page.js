// Shows what float models and their artifacts find in a photograph, and how fast they are here.
//
// /shows.json says what is shown (tools/web_demo.py). What was found stands in `window.found` when
// the body has data-state "done".
import {loadLiteRt, loadAndCompile, Tensor} from '/core/dist/index.js';
import {REGIONS, around, cut, detections, landmarks, toPicture} from '/decoding.js';

const MOST_PIXELS = 1024;
const ROUNDS = 7;
const MS_A_ROUND = 250;
const COLOURS = {box: '#2da44e', point: '#ffd33d', text: '#ffffff'};
// Points of a skeleton between which a line is drawn.
const LINES = {
  palm: [
    [0, 1, 2, 3, 4],
    [0, 5, 6, 7, 8],
    [9, 10, 11, 12],
    [13, 14, 15, 16],
    [0, 17, 18, 19, 20],
    [5, 9, 13, 17],
  ],
  pose: [
    [11, 13, 15],
    [12, 14, 16],
    [12, 11, 23, 24, 12],
    [23, 25, 27, 29, 31, 27],
    [24, 26, 28, 30, 32, 28],
  ],
};

const progress = document.querySelector('#progress');
const accelerator = new URLSearchParams(location.search).get('accelerator') ?? 'wasm';

function made(parent, kind, text = '') {
  const element = parent.appendChild(document.createElement(kind));
  element.textContent = text;
  return element;
}

async function runOnce(model, values) {
  const [{name, shape}] = model.getInputDetails();
  const input = new Tensor(values, Array.from(shape));
  const outputs = await model.run({[name]: input});
  const read = {};
  for (const [output, tensor] of Object.entries(outputs)) {
    const here = tensor.accelerator === 'wasm' ? tensor : await tensor.moveTo('wasm');
    read[output] = here.toTypedArray().slice();
    here.delete();
  }
  if (!input.deleted) input.delete();
  return read;
}

// Finds all that a pair of models finds, in pixels of the picture, and keeps what they were given.
async function find(show, side, picture) {
  const whole = around(picture);
  const {detector, landmarker} = show;
  const [size] = detector.task.input_size;
  side.given = [[side.detector, cut(picture, whole, size, detector.range, false)]];
  const raw = detections(detector.task, await runOnce(...side.given[0]));
  const onPicture = (point) => toPicture(whole, point.map((value) => value / size));
  const found = [];
  for (const {score, box, points} of raw.slice(0, show.most)) {
    const places = points.map(onPicture);
    const corners = [...onPicture(box.slice(0, 2)), ...onPicture(box.slice(2))];
    const object = {score, box: corners, points: places.map((place) => ({place, seen: true}))};
    if (landmarker) {
      const region = REGIONS[landmarker.region]({box: corners, points: places});
      const [cropSize] = landmarker.task.crop_size;
      const crop = cut(picture, region, cropSize, landmarker.range, true);
      side.given[1] ??= [side.landmarker, crop];
      const seen = landmarks(landmarker.task, await runOnce(side.landmarker, crop));
      if (!seen) continue;
      object.points = seen.map(({place, seen}) => ({place: toPicture(region, place), seen}));
    }
    found.push(object);
  }
  return found;
}

// Gives the median time in ms that each side takes for what it was given, in turns.
async function measure(sides) {
  const medians = sides.map(() => []);
  // Where one alone finds an object, it alone ran the second model.
  const models = Math.min(...sides.map(({given}) => given.length));
  // The first round warms up.
  for (let round = -1; round < ROUNDS; round++) {
    for (const number of round % 2 ? [0, 1] : [1, 0]) {
      const times = [];
      const end = performance.now() + MS_A_ROUND;
      while (performance.now() < end || !times.length) {
        const start = performance.now();
        for (const given of sides[number].given.slice(0, models)) await runOnce(...given);
        times.push(performance.now() - start);
      }
      if (round >= 0) medians[number].push(median(times));
      // The page answers in between.
      await new Promise((resolve) => setTimeout(resolve));
    }
  }
  return medians.map(median);
}

function median(values) {
  return [...values].sort((one, other) => one - other)[values.length >> 1];
}

function draw(canvas, photograph, found, lines) {
  canvas.width = photograph.width;
  canvas.height = photograph.height;
  const pen = canvas.getContext('2d');
  pen.drawImage(photograph, 0, 0);
  // So that a line is as wide on the page, however large the photograph is.
  const unit = photograph.height / 230;
  for (const {score, box, points} of found) {
    pen.lineWidth = 2 * unit;
    pen.strokeStyle = COLOURS.box;
    const [left, top, right, bottom] = box;
    pen.strokeRect(left, top, right - left, bottom - top);
    pen.strokeStyle = COLOURS.text;
    for (const chain of lines) {
      for (let at = 1; at < chain.length; at++) {
        const [from, to] = [points[chain[at - 1]], points[chain[at]]];
        if (!from.seen || !to.seen) continue;
        pen.beginPath();
        pen.moveTo(...from.place);
        pen.lineTo(...to.place);
        pen.stroke();
      }
    }
    pen.fillStyle = COLOURS.point;
    for (const {place} of points.filter(({seen}) => seen)) {
      pen.beginPath();
      pen.arc(...place, 2.4 * unit, 0, 2 * Math.PI);
      pen.fill();
    }
    const above = Math.max(top - 15 * unit, 0);
    pen.fillStyle = COLOURS.box;
    pen.fillRect(left - unit, above, 30 * unit, 15 * unit);
    pen.fillStyle = COLOURS.text;
    pen.font = `${12 * unit}px system-ui, sans-serif`;
    pen.fillText(score.toFixed(2), left + 2 * unit, above + 12 * unit);
  }
}

async function readPicture(blob) {
  const whole = await createImageBitmap(blob);
  const scale = Math.min(1, MOST_PIXELS / Math.max(whole.width, whole.height));
  const photograph = document.createElement('canvas');
  photograph.width = Math.max(Math.round(whole.width * scale), 1);
  photograph.height = Math.max(Math.round(whole.height * scale), 1);
  const pen = photograph.getContext('2d', {willReadFrequently: true});
  pen.imageSmoothingQuality = 'high';
  pen.drawImage(whole, 0, 0, photograph.width, photograph.height);
  return {photograph, picture: pen.getImageData(0, 0, photograph.width, photograph.height)};
}

// Makes a section of the page, with a place for each side.
function place(show) {
  const section = made(document.querySelector('main'), 'section');
  made(section, 'h2', show.title);
  const row = made(section, 'div');
  for (const side of show.sides) {
    const figure = made(row, 'figure');
    side.canvas = made(figure, 'canvas');
    side.caption = made(figure, 'figcaption');
  }
}

async function load(show) {
  for (const side of show.sides) {
    try {
      for (const role of ['detector', 'landmarker']) {
        if (!show[role]) continue;
        side[role] = await loadAndCompile(`/models/${side.models[role]}`, {accelerator});
      }
    } catch (error) {
      side.fault = `${error?.message ?? error}`;
    }
  }
}

function tell(side, lines) {
  side.caption.replaceChildren();
  side.caption.className = side.fault ? 'fault' : '';
  made(side.caption, 'b', side.title);
  for (const line of side.fault ? [`refused: ${side.fault}`] : lines) {
    made(side.caption, 'br');
    side.caption.append(line);
  }
}

function size(side, original) {
  const kilobytes = `${Math.round(side.bytes / 1000).toLocaleString('en')} kB`;
  const share = side === original ? '' : ` (−${Math.round(100 * (1 - side.bytes / original.bytes))}%)`;
  return kilobytes + share;
}

// Shows one section for a picture; gives what was found, by the side's name.
async function present(show, {photograph, picture}, isTimed) {
  const found = {};
  const [original] = show.sides;
  for (const side of show.sides) {
    if (!side.fault) {
      try {
        found[side.name] = {objects: await find(show, side, picture)};
      } catch (error) {
        side.fault = `${error?.message ?? error}`;
      }
    }
    draw(side.canvas, photograph, found[side.name]?.objects ?? [], LINES[show.landmarker?.region] ?? []);
    tell(side, [size(side, original)]);
  }
  const whole = show.sides.every(({fault}) => !fault);
  const speeds = whole && isTimed ? (await measure(show.sides)).map((ms) => 1000 / ms) : [];
  speeds.forEach((fps, number) => {
    const side = show.sides[number];
    const faster = number ? ` (${(fps / speeds[0]).toFixed(2)}x)` : '';
    found[side.name].fps = fps;
    tell(side, [size(side, original), `${fps.toFixed(fps < 10 ? 1 : 0)} FPS${faster}`]);
  });
  for (const side of show.sides) {
    found[side.name] = {...found[side.name], fault: side.fault ?? ''};
  }
  return found;
}

async function presentAll(shows, own, isTimed) {
  document.body.dataset.state = 'busy';
  window.found = {};
  for (const show of shows) {
    progress.textContent = `running ${show.title}`;
    const blob = own ?? (await (await fetch(`/images/${show.image}`)).blob());
    window.found[show.name] = await present(show, await readPicture(blob), isTimed);
  }
  progress.textContent = '';
  document.body.dataset.state = 'done';
}

// Says below the page what runs; gives the name of what computes behind WebGPU.
async function describe() {
  const info = accelerator === 'webgpu' ? (await navigator.gpu?.requestAdapter())?.info : null;
  const adapter = info ? `${info.vendor} ${info.architecture} ${info.description}`.trim() : '';
  const runtime = await (await fetch('/core/package.json')).json();
  const chromium = navigator.userAgentData?.brands.find(({brand}) => /chrom/i.test(brand));
  document.querySelector('footer').textContent = [
    chromium ? `${chromium.brand} ${chromium.version}` : navigator.userAgent,
    `LiteRT.js ${runtime.version}`,
    accelerator === 'wasm'
      ? 'WebAssembly, one thread'
      : `WebGPU, ${adapter || 'which this browser does not offer'}`,
  ].join(', ');
  return adapter;
}

async function main() {
  const select = document.querySelector('#accelerator');
  select.value = accelerator;
  select.onchange = () => {
    location.search = `?accelerator=${select.value}`;
  };
  const shows = await (await fetch('/shows.json')).json();
  shows.forEach(place);
  // SwiftShader computes on the processor, in place of a GPU.
  const isTimed = !/swiftshader/i.test(await describe());
  await loadLiteRt('/core/wasm/', {jspi: accelerator === 'webgpu'});
  for (const show of shows) {
    progress.textContent = `loading ${show.title}`;
    await load(show);
  }
  let last = presentAll(shows, null, isTimed);
  document.querySelector('#own').onchange = ({target}) => {
    const [file] = target.files;
    if (!file) return;
    // One after the other: a model runs once at a time.
    last = last.then(() => presentAll(shows, file, isTimed)).catch(fail);
  };
  await last;
}

function fail(error) {
  progress.textContent = `failed: ${error?.message ?? error}`;
  document.body.dataset.state = 'failed';
}

main().catch(fail);
