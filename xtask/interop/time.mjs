// How long @ipld/car takes for a CAR: `node time.mjs FILE ROUNDS` prints seconds as JSON, the best of several rounds.

import fs from 'node:fs'
import { CarBlockIterator } from '@ipld/car'
import { CarIndexer } from '@ipld/car/indexer'
import { createHash } from 'node:crypto'

const [path, rounds] = process.argv.slice(2)
const bytes = fs.readFileSync(path)

async function blocks (from, seen) {
  let count = 0
  for await (const block of from) {
    seen?.(block)
    count++
  }
  return count
}

function check ({ cid, bytes }) {
  const digest = createHash('sha256').update(bytes).digest()
  if (Buffer.compare(digest, cid.multihash.digest) !== 0) throw new Error(`${cid}: its bytes have another hash`)
}

const sides = {
  '@ipld/car, unverified, file': async () => blocks(await CarBlockIterator.fromIterable(fs.createReadStream(path))),
  '@ipld/car, unverified, memory': async () => blocks(await CarBlockIterator.fromBytes(bytes)),
  '@ipld/car, verified, file': async () => blocks(await CarBlockIterator.fromIterable(fs.createReadStream(path)), check),
  '@ipld/car, index, file': async () => blocks(await CarIndexer.fromIterable(fs.createReadStream(path))),
  '@ipld/car, index, memory': async () => blocks(await CarIndexer.fromBytes(bytes))
}

const best = {}
for (let round = 0; round < Number(rounds); round++) {
  for (const [name, side] of Object.entries(sides)) {
    const start = performance.now()
    if (await side() !== 19000) throw new Error(`${name}: not all blocks`)
    const seconds = (performance.now() - start) / 1000
    best[name] = Math.min(best[name] ?? Infinity, seconds)
  }
}
console.log(JSON.stringify(best))
