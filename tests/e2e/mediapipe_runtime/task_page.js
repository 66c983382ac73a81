// Runs a task of MediaPipe on images, with a model that the server has, and sends what it finds.
import * as vision from '/tasks-vision/vision_bundle.mjs';

// What the task prints says why it refuses a model.
const words = [];
for (const level of ['error', 'warn']) {
  console[level] = (...told) => words.push(told.join(' '));
}

const places = (points) => points.map(({x, y, visibility}) => ({x, y, visibility}));

// Results as objects of a box in pixels, or null, and points in parts of the image.
const READ = {
  FaceDetector: ({detections}) =>
    detections.map(({boundingBox: {originX, originY, width, height}, keypoints}) => ({
      box: [originX, originY, originX + width, originY + height],
      points: places(keypoints),
    })),
  HandLandmarker: ({landmarks}) => landmarks.map((points) => ({box: null, points: places(points)})),
  PoseLandmarker: ({landmarks}) => landmarks.map((points) => ({box: null, points: places(points)})),
};

async function main() {
  const {task, delegate, images} = await (await fetch('/asked.json')).json();
  const files = await vision.FilesetResolver.forVisionTasks('/tasks-vision/wasm');
  const started = await vision[task].createFromOptions(files, {
    baseOptions: {modelAssetPath: '/model', delegate},
    runningMode: 'IMAGE',
    ...(task === 'HandLandmarker' ? {numHands: 2} : {}),
  });
  const seen = {};
  for (const name of images) {
    const blob = await (await fetch(`/images/${encodeURIComponent(name)}`)).blob();
    const image = await createImageBitmap(blob);
    const objects = READ[task](started.detect(image));
    seen[name] = {size: [image.width, image.height], objects};
  }
  return {seen};
}

const send = (said) => fetch('/said', {method: 'POST', body: JSON.stringify(said)});
main().then(send, (error) => send({refusal: [...words, `${error?.message ?? error}`]}));
