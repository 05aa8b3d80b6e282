// 09-image-pipeline.ts - a film goes through three workers, each a stage: smooth the noise away, find the edges, locate the ball.
// Pictures are written where the next stage reads them; nothing is copied or cloned between stages.
//
//   node packages/examples/dist/09-image-pipeline.js

import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { createChannel, frames, open, openBlocking, type WorkerPort } from '@smcjs/core/channel';

const WIDTH = 256;
const PIXELS = WIDTH * WIDTH;
const PICTURES = 240;
const RADIUS = 40;

interface Order {
  readonly stage: keyof typeof stages;
  readonly input: WorkerPort;
  readonly output: WorkerPort;
}

/** What each worker does with a picture, and how many numbers come out. */
const stages = {
  smooth: { size: PIXELS, run: smooth },
  edges: { size: PIXELS, run: edges },
  locate: { size: 2, run: locate },
};

if (isMainThread) await main();
else work(workerData as Order);

async function main(): Promise<void> {
  // Main thread -> smooth -> edges -> locate -> main thread. Room for four pictures between any two.
  const links = Array.from({ length: 4 }, () => createChannel({ ringSize: 8 * PIXELS * Float32Array.BYTES_PER_ELEMENT }));
  for (const [i, stage] of (Object.keys(stages) as Order['stage'][]).entries()) {
    const order: Order = { stage, input: (links[i] as Link).port2, output: (links[i + 1] as Link).port1 };
    new Worker(new URL(import.meta.url), { workerData: order, transferList: [order.input.bell, order.output.bell] });
  }
  const started = performance.now();
  const filming = film(links[0]?.port1 as WorkerPort);
  let count = 0;
  let worst = 0;
  for await (const { view } of frames(open(links[3]?.port2 as WorkerPort), Float32Array)) {
    const [x = 0, y = 0] = view;
    const [trueX, trueY] = ballAt(count);
    worst = Math.max(worst, Math.hypot(x - trueX, y - trueY));
    if (count % 60 === 0) console.log(`picture ${count}: the ball is at ${x.toFixed(1)}, ${y.toFixed(1)}`);
    count++;
  }
  await filming;
  const seconds = (performance.now() - started) / 1000;
  console.log(`${count} pictures of ${WIDTH} x ${WIDTH} through 3 workers, ${(count / seconds).toFixed(0)} a second`);
  console.log(`never further than ${Math.ceil(worst)} pixels from where the ball is`);
  process.exitCode = count === PICTURES && worst <= 2 ? 0 : 1;
}

type Link = ReturnType<typeof createChannel>;

/** The film: a ball on its way, in noise as strong as itself. */
async function film(port: WorkerPort): Promise<void> {
  const end = open(port);
  const pictures = frames(end, Float32Array);
  let seed = 1;
  for (let i = 0; i < PICTURES && (await pictures.writable(PIXELS)); i++) {
    const picture = pictures.reserve(PIXELS); // in the memory that the first worker reads
    if (picture === undefined) break;
    const { view } = picture;
    const [ballX, ballY] = ballAt(i);
    for (let at = 0; at < PIXELS; at++) {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      const inside = ((at % WIDTH) - ballX) ** 2 + (Math.floor(at / WIDTH) - ballY) ** 2 < RADIUS ** 2;
      view[at] = (inside ? 1 : 0) + seed / 2 ** 32;
    }
    picture.commit();
  }
  end.end();
}

/** Where the ball is in a picture: once around the middle. */
function ballAt(picture: number): [x: number, y: number] {
  const angle = (2 * Math.PI * picture) / PICTURES;
  return [WIDTH / 2 + 60 * Math.cos(angle), WIDTH / 2 + 60 * Math.sin(angle)];
}

/** A worker: takes pictures from the one before and writes what it makes of them where the next one reads. */
function work({ stage, input, output }: Order): void {
  const { size, run } = stages[stage];
  using from = openBlocking(input);
  using to = openBlocking(output);
  const results = frames(to, Float32Array);
  for (const { view } of frames(from, Float32Array)) {
    if (!results.writable(size)) return; // who reads them is gone
    using result = results.reserve(size);
    if (result === undefined) return;
    run(view, result.view);
    result.commit();
  }
}

/** The mean of 7 x 7 pixels; the border stays dark. Sums of columns move along, so it costs the same for any square. */
function smooth(picture: Float32Array, result: Float32Array): void {
  const half = 3;
  result.fill(0);
  const columns = new Float32Array(WIDTH);
  for (let y = half; y < WIDTH - half; y++) {
    columns.fill(0);
    for (let row = y - half; row <= y + half; row++) {
      for (let x = 0; x < WIDTH; x++) columns[x] = (columns[x] as number) + (picture[row * WIDTH + x] as number);
    }
    for (let x = half; x < WIDTH - half; x++) {
      let sum = 0;
      for (let column = x - half; column <= x + half; column++) sum += columns[column] as number;
      result[y * WIDTH + x] = sum / (2 * half + 1) ** 2;
    }
  }
}

/** How steep the brightness is (Sobel), away from the border. */
function edges(picture: Float32Array, result: Float32Array): void {
  result.fill(0);
  const at = (index: number): number => picture[index] as number;
  for (let y = 8; y < WIDTH - 8; y++) {
    for (let i = y * WIDTH + 8; i < y * WIDTH + WIDTH - 8; i++) {
      const [up, down] = [i - WIDTH, i + WIDTH];
      const right = at(up + 1) + 2 * at(i + 1) + at(down + 1) - at(up - 1) - 2 * at(i - 1) - at(down - 1);
      const below = at(down - 1) + 2 * at(down) + at(down + 1) - at(up - 1) - 2 * at(up) - at(up + 1);
      result[i] = Math.hypot(right, below);
    }
  }
}

/** The middle of the steepest pixels, which are the rim of the ball. */
function locate(picture: Float32Array, result: Float32Array): void {
  const steep = 0.4 * picture.reduce((most, value) => Math.max(most, value), 0);
  let [x, y, count] = [0, 0, 0];
  for (let i = 0; i < picture.length; i++) {
    if ((picture[i] as number) < steep) continue;
    x += i % WIDTH;
    y += Math.floor(i / WIDTH);
    count++;
  }
  result.set([x / count, y / count]);
}
