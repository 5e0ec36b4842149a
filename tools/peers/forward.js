// Times onnxruntime on the network that peers.py wrote, on one thread, and
// prints what came of it as JSON.
//
//   node forward.js FOLDER TIMES
//
// "empty" is the time of a graph that does nothing: the call from Node alone.
const fs = require('fs')
const path = require('path')
const ort = require('onnxruntime-node')

async function time (model, feeds, times) {
  const session = await ort.InferenceSession.create(model, {
    intraOpNumThreads: 1, interOpNumThreads: 1, executionMode: 'sequential'
  })
  let out
  for (let i = 0; i < times / 4; i++) out = await session.run(feeds)
  const start = process.hrtime.bigint()
  for (let i = 0; i < times; i++) out = await session.run(feeds)
  return { ns: Number(process.hrtime.bigint() - start) / times, out: Array.from(out.out.data) }
}

async function main (folder, times) {
  const { Keys, Features } = JSON.parse(fs.readFileSync(path.join(folder, 'input.json')))
  const n = Keys.length
  const features = new ort.Tensor('float32', Float32Array.from(Features), [n, 1, Features.length / n])
  const keys = new ort.Tensor('int64', BigInt64Array.from(Keys, BigInt), [n])
  const { ns, out } = await time(path.join(folder, 'network.onnx'), { keys, features }, times)
  const empty = await time(path.join(folder, 'empty.onnx'), { features }, times)
  console.log(JSON.stringify({ ns, out, empty: empty.ns, node: process.version, version: ort.env.versions.node }))
}

main(process.argv[2], Number(process.argv[3]))
