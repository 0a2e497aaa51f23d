// peer_network.js MODEL.onnx X.f32 Y.f32 THREADS D,H,W - ONNX Runtime on one float32 volume (1, 1, D, H, W), raw in and
// out. Prints the seconds of the one run, without start and loading.
'use strict';
const fs = require('fs');
const ort = require('onnxruntime-node');

(async () => {
  const [model, from, to, threads, size] = process.argv.slice(2);
  const session = await ort.InferenceSession.create(model, { intraOpNumThreads: Number(threads), interOpNumThreads: 1 });
  const raw = fs.readFileSync(from);
  const data = new Float32Array(raw.buffer, raw.byteOffset, raw.length / 4);
  const x = new ort.Tensor('float32', data, [1, 1, ...size.split(',').map(Number)]);
  const start = process.hrtime.bigint();
  const result = await session.run({ [session.inputNames[0]]: x });
  console.log(Number(process.hrtime.bigint() - start) / 1e9);
  const y = result[session.outputNames[0]].data;
  fs.writeFileSync(to, Buffer.from(y.buffer, y.byteOffset, y.byteLength));
})();
