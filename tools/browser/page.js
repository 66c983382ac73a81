// Loads the models that the server names, and runs what it asks for until it ends.
import {loadLiteRt, loadAndCompile, Tensor} from '/core/dist/index.js';

const ARRAYS = {float32: Float32Array, int32: Int32Array, int8: Int8Array, uint8: Uint8Array};

// What the runtime prints says why it refuses an operator.
let words = [];
for (const level of ['error', 'warn']) {
  const print = console[level];
  console[level] = (...told) => {
    words.push(told.join(' '));
    print(...told);
  };
}

const post = (path, body) => fetch(path, {method: 'POST', body});
const say = (event) => post('/events', JSON.stringify(event));
const models = {};

async function loaded({model, accelerator}) {
  words = [];
  models[model] = await loadAndCompile(`/models/${model}`, {accelerator});
  return {whole: models[model].isFullyAccelerated};
}

async function readInputs(model) {
  const tensors = {};
  for (const {name, dtype, shape} of models[model].getInputDetails()) {
    if (!ARRAYS[dtype]) throw new Error(`LiteRT.js takes no ${dtype}, which the input ${name} is`);
    const answer = await fetch(`/inputs/${model}/${encodeURIComponent(name)}`);
    if (!answer.ok) throw new Error(`no values for the input ${name}`);
    tensors[name] = new Tensor(new ARRAYS[dtype](await answer.arrayBuffer()), Array.from(shape));
  }
  return tensors;
}

const freed = (tensors) => Object.values(tensors).forEach((one) => one.deleted || one.delete());

async function ran({model}) {
  const tensors = await readInputs(model);
  const start = performance.now();
  const outputs = await models[model].run(tensors);
  const read = {};
  for (const [name, tensor] of Object.entries(outputs)) {
    const here = tensor.accelerator === 'wasm' ? tensor : await tensor.moveTo('wasm');
    read[name] = here.toTypedArray().slice();
    here.delete();
  }
  const ms = performance.now() - start;
  for (const [name, values] of Object.entries(read)) {
    await post(`/outputs/${encodeURIComponent(name)}`, values);
  }
  freed(tensors);
  return {ms};
}

// Gives the median time of a run of each model in each round, in which they take turns.
async function timed({rounds, seconds}) {
  const names = Object.keys(models);
  const inputs = {};
  for (const name of names) inputs[name] = await readInputs(name);
  const medians = Object.fromEntries(names.map((name) => [name, []]));
  // The first round warms up.
  for (let round = -1; round < rounds; round++) {
    for (const name of round % 2 ? names : [...names].reverse()) {
      const times = [];
      for (const end = performance.now() + 1000 * seconds; performance.now() < end || !times.length;) {
        const start = performance.now();
        const outputs = await models[name].run(inputs[name]);
        times.push(performance.now() - start);
        freed(outputs);
      }
      times.sort((one, other) => one - other);
      if (round >= 0) medians[name].push(times[times.length >> 1]);
    }
  }
  Object.values(inputs).forEach(freed);
  return {medians};
}

async function browser({accelerator}) {
  await loadLiteRt('/core/wasm/', {jspi: accelerator === 'webgpu'});
  const told = accelerator === 'webgpu' ? (await navigator.gpu?.requestAdapter())?.info : null;
  const versions = await navigator.userAgentData.getHighEntropyValues(['fullVersionList']);
  return {
    adapter: told ? `${told.vendor} ${told.architecture} ${told.description}`.trim() : '',
    browser: versions.fullVersionList
      .filter(({brand}) => /chrom/i.test(brand))
      .map(({brand, version}) => `${brand} ${version}`)[0] ?? navigator.userAgent,
  };
}

const WORK = {browser, loaded, ran, timed};

// A request that the server does not answer: it ends when this page does.
fetch('/alive').catch(() => {});
for (;;) {
  const {work, ...asked} = await (await fetch('/work')).json();
  if (!WORK[work]) break;
  try {
    await say({done: await WORK[work](asked)});
  } catch (error) {
    await say({refusal: [...words, `${error?.message ?? error}`]});
  }
}
