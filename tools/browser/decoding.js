// What models of MediaPipe are given and what they answer: crops, detections, landmarks.
//
// It is what scenes/regions.py and tools/similarity/detection.py compute, which name the sources
// of their formulas. Points are in pixels of the picture they belong to.

// Cuts a turned square out of a picture, bilinearly.
//
// picture: ImageData. region: {x, y, size, angle}, in its pixels and radians. side: of the result.
// low, high: what the model takes for 0 and for 255. repeated: whether the picture's edge goes on
// beyond it, which else is black. Gives a Float32Array of side * side * 3.
export function cut({data, width, height}, region, side, [low, high], repeated) {
  const result = new Float32Array(side * side * 3);
  const scale = (high - low) / 255;
  const [cos, sin] = [Math.cos(region.angle), Math.sin(region.angle)];
  const inside = (value, end) => Math.min(Math.max(value, 0), end - 1);
  const read = (column, row, channel) => {
    const outside = column < 0 || row < 0 || column >= width || row >= height;
    if (outside && !repeated) return 0;
    return data[4 * (inside(row, height) * width + inside(column, width)) + channel];
  };
  for (let row = 0, at = 0; row < side; row++) {
    for (let column = 0; column < side; column++) {
      const across = ((column + 0.5) / side - 0.5) * region.size;
      const down = ((row + 0.5) / side - 0.5) * region.size;
      const x = region.x + across * cos - down * sin - 0.5;
      const y = region.y + across * sin + down * cos - 0.5;
      const [left, top] = [Math.floor(x), Math.floor(y)];
      const [right, lower] = [x - left, y - top];
      for (let channel = 0; channel < 3; channel++) {
        const above =
          read(left, top, channel) * (1 - right) + read(left + 1, top, channel) * right;
        const below =
          read(left, top + 1, channel) * (1 - right) + read(left + 1, top + 1, channel) * right;
        result[at++] = low + scale * (above * (1 - lower) + below * lower);
      }
    }
  }
  return result;
}

// Gives the square around a whole picture: what a detector sees of it.
export const around = ({width, height}) => ({
  x: width / 2,
  y: height / 2,
  size: Math.max(width, height),
  angle: 0,
});

// Takes a point of a crop, 0 to 1, to the picture.
export function toPicture(region, [x, y]) {
  const [across, down] = [(x - 0.5) * region.size, (y - 0.5) * region.size];
  const [cos, sin] = [Math.cos(region.angle), Math.sin(region.angle)];
  return [region.x + across * cos - down * sin, region.y + across * sin + down * cos];
}

const sigmoid = (logit) => 1 / (1 + Math.exp(-Math.min(Math.max(logit, -100), 100)));

function decoded({anchors, keypoints}, boxes, anchor) {
  const values = boxes.length / anchors.length;
  const raw = boxes.subarray(anchor * values, (anchor + 1) * values);
  const [originX, originY, sizeX, sizeY] = anchors[anchor];
  const [x, y] = [raw[0] * sizeX + originX, raw[1] * sizeY + originY];
  const [halfX, halfY] = [(raw[2] * sizeX) / 2, (raw[3] * sizeY) / 2];
  const points = Array.from({length: keypoints}, (_, number) => [
    raw[4 + 2 * number] * sizeX + originX,
    raw[5 + 2 * number] * sizeY + originY,
  ]);
  return {box: [x - halfX, y - halfY, x + halfX, y + halfY], points};
}

function overlap(one, other) {
  const area = ([left, top, right, bottom]) => Math.max(right - left, 0) * Math.max(bottom - top, 0);
  const shared = area([
    Math.max(one[0], other[0]),
    Math.max(one[1], other[1]),
    Math.min(one[2], other[2]),
    Math.min(one[3], other[3]),
  ]);
  const union = area(one) + area(other) - shared;
  return union > 0 ? shared / union : 0;
}

// Averages boxes and points of what shows the same object, by score.
function merged(same) {
  const total = same.reduce((sum, {score}) => sum + score, 0);
  const mean = (value) => same.reduce((sum, each) => sum + (each.score / total) * value(each), 0);
  return {
    score: same[0].score,
    box: same[0].box.map((_, side) => mean(({box}) => box[side])),
    points: same[0].points.map((_, point) =>
      [0, 1].map((axis) => mean(({points}) => points[point][axis])),
    ),
  };
}

// Gives what a detector finds, the best first: [{score, box: [left, top, right, bottom], points}].
//
// task: as `detection()` writes it, with anchors in pixels of the input: [x, y, width, height],
// where a distance of the model is in parts of the input. outputs: name to Float32Array.
export function detections(task, outputs) {
  const scores = outputs[task.scores];
  let left = Array.from(scores, sigmoid)
    .map((score, anchor) => ({score, anchor}))
    .filter(({score}) => score >= task.min_score)
    .sort((one, other) => other.score - one.score || one.anchor - other.anchor)
    .map(({score, anchor}) => ({score, ...decoded(task, outputs[task.boxes], anchor)}));
  const found = [];
  while (left.length) {
    const best = left[0];
    const same = left.filter(
      (each) => each === best || overlap(best.box, each.box) > task.max_overlap,
    );
    left = left.filter((each) => !same.includes(each));
    found.push(merged(same));
  }
  return found;
}

// Gives how far the vector between two points is turned from pointing up.
function turnedFromUp([x, y], [endX, endY]) {
  const angle = Math.PI / 2 - Math.atan2(y - endY, endX - x);
  return angle - 2 * Math.PI * Math.floor((angle + Math.PI) / (2 * Math.PI));
}

// What the landmark model sees of a detection, in the same pixels.
export const REGIONS = {
  palm({box: [left, top, right, bottom], points}) {
    const angle = turnedFromUp(points[0], points[2]);
    const height = bottom - top;
    return {
      x: (left + right) / 2 + 0.5 * height * Math.sin(angle),
      y: (top + bottom) / 2 - 0.5 * height * Math.cos(angle),
      size: 2.6 * Math.max(right - left, height),
      angle,
    };
  },
  pose({points: [[x, y], [edgeX, edgeY]]}) {
    const size = 2.5 * Math.hypot(edgeX - x, edgeY - y);
    return {x, y, size, angle: turnedFromUp([x, y], [edgeX, edgeY])};
  },
};

// Gives the points of a landmark model, 0 to 1 in its crop, and which are to be drawn; null where
// it says that its object is not there.
//
// task: as `landmarks()` writes it, with `drawn`, how many are shown, and `visibility`, which value
// of a point is the logit of its being seen, or null.
export function landmarks(task, outputs) {
  const presence = outputs[task.presence][0];
  if ((task.presence_logits ? sigmoid(presence) : presence) < task.min_presence) return null;
  const raw = outputs[task.points];
  const values = task.values ?? task.dims;
  return Array.from({length: task.drawn}, (_, number) => {
    const point = raw.subarray(number * values, (number + 1) * values);
    const seen = task.visibility == null || sigmoid(point[task.visibility]) >= 0.5;
    return {place: [point[0] / task.crop_size[0], point[1] / task.crop_size[1]], seen};
  });
}
