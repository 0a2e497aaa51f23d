// peer_onnxruntime.js - times ONNX Runtime's Conv on problems that come as lines of JSON on stdin; the same lines
// and answers as peer_torch.py. The model is a single Conv node, written here field by field as onnx.proto numbers
// them (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
'use strict';
const readline = require('readline');
const ort = require('onnxruntime-node');

function varint(n) {
  const out = [];
  for (n = BigInt(n); n > 127n; n >>= 7n) out.push(Number(n & 127n) | 128);
  out.push(Number(n));
  return Buffer.from(out);
}
const integer = (field, n) => Buffer.concat([varint(field << 3), varint(n)]);
const bytes = (field, data) => {
  data = Buffer.from(data);
  return Buffer.concat([varint((field << 3) | 2), varint(data.length), data]);
};
const message = (field, ...parts) => bytes(field, Buffer.concat(parts));
const attribute = (name, type, ...values) => message(5, bytes(1, name), ...values, integer(20, type));
const ints = (name, list) => attribute(name, 7, ...list.map((v) => integer(8, v)));
const tensor = (name, dims, data) => message(5, ...dims.map((d) => integer(1, d)), integer(2, 1),
  bytes(8, name), bytes(9, Buffer.from(data.buffer)));
const value = (field, name, dims) => message(field, bytes(1, name), message(2, message(1, integer(1, 1),
  message(2, ...dims.map((d) => message(1, ...(d ? [integer(1, d)] : [])))))));

function random(n) {
  return Float32Array.from({ length: n }, () => Math.random() - 0.5);
}

function model(p) {
  const dims = [p.out_channels, p.in[1] / p.groups, ...p.kernel];
  const node = message(1, bytes(1, 'x'), bytes(1, 'w'), bytes(1, 'b'), bytes(2, 'y'), bytes(4, 'Conv'),
    ints('kernel_shape', p.kernel), ints('strides', p.stride), ints('dilations', p.dilation),
    ints('pads', [...p.padding, ...p.padding]), attribute('group', 2, integer(3, p.groups)));
  const graph = message(7, node, bytes(2, 'conv'), tensor('w', dims, random(dims.reduce((a, b) => a * b))),
    tensor('b', [p.out_channels], random(p.out_channels)), value(11, 'x', p.in), value(12, 'y', [0, 0, 0, 0, 0]));
  return Buffer.concat([integer(1, 8), graph, message(8, integer(2, 17))]);
}

async function run(p) {
  const session = await ort.InferenceSession.create(model(p), { intraOpNumThreads: p.threads,
    interOpNumThreads: 1 });
  const x = new ort.Tensor('float32', random(p.in.reduce((a, b) => a * b)), p.in);
  const times = [];
  for (let i = 0; i <= p.repeat; i++) {
    const start = process.hrtime.bigint();
    await session.run({ x });
    times.push(Number(process.hrtime.bigint() - start) / 1e6);
  }
  await session.release();
  return times.slice(1);
}

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await run(JSON.parse(line))));
  }
})();
