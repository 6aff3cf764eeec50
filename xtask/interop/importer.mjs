// Reads lines that tell a case and what is to come of it; prints them with what ipfs-unixfs-importer makes of the case now.

import fs from 'node:fs'
import { importer } from 'ipfs-unixfs-importer'
import { fixedSize } from 'ipfs-unixfs-importer/chunker'
import { balanced, trickle } from 'ipfs-unixfs-importer/layout'

// The byte at each place of a file: the lowest of a 32-bit xorshift (13, 17, 5) that begins with 2463534242.
const longest = 5_000_000
const stream = new Uint8Array(longest)
for (let i = 0, x = 2463534242; i < longest; i++) {
  x ^= x << 13; x ^= x >>> 17; x ^= x << 5
  stream[i] = x & 255
}

function content (length) {
  if (length > longest) throw new Error(`${length} bytes are more than there are`)
  return stream.subarray(0, length)
}

async function * zeros (length) {
  const block = new Uint8Array(1 << 20)
  for (let left = length; left > 0; left -= block.length) yield block.subarray(0, Math.min(left, block.length))
}

function metadata (mode, secs, nsecs) {
  return { mode: Number(mode), mtime: { secs: BigInt(secs), ...(nsecs === '0' ? {} : { nsecs: Number(nsecs) }) } }
}

function options (layout, leaves, version, chunk, width) {
  const trickles = layout === 'trickle'
  return {
    chunker: fixedSize({ chunkSize: Number(chunk) }),
    layout: (trickles ? trickle : balanced)({ maxChildrenPerNode: Number(width) }),
    rawLeaves: leaves === 'raw',
    cidVersion: Number(version),
    // By the importer's documentation, trickle trees are those of Kubo with these.
    leafType: trickles ? 'raw' : 'file',
    reduceSingleLeafToSelf: !trickles
  }
}

async function root (entries, options) {
  let last
  for await (const entry of importer(entries, { put: async cid => cid }, options)) last = entry
  return [String(last.cid), String(last.size)]
}

function directory (leaves, version, count, by, above, fanout, fields = undefined) {
  const entries = fields === undefined ? [] : [{ path: 'd', ...fields }]
  for (let i = 0; i < Number(count); i++) entries.push({ path: `d/entry ${i}.txt`, content: new TextEncoder().encode(String(i)) })
  return root(entries, {
    ...options('balanced', leaves, version, 262_144, 174),
    shardSplitStrategy: by === 'link-bytes' ? 'links-bytes' : 'block-bytes',
    shardSplitThresholdBytes: Number(above),
    shardFanoutBits: Math.log2(Number(fanout))
  })
}

const cases = {
  file: (...at) => root([{ content: content(Number(at[5])) }], options(...at)),
  zeros: (...at) => root([{ content: zeros(Number(at[5])) }], options(...at)),
  meta: (...at) => root([{ content: content(Number(at[5])), ...metadata(at[6], at[7], at[8]) }], options(...at)),
  dir: directory,
  dirmeta: (count, by, above, fanout, ...fields) => directory('raw', '1', count, by, above, fanout, metadata(...fields))
}

for (const line of fs.readFileSync(process.argv[2], 'utf8').split('\n').filter(Boolean)) {
  // The last two say what is to come of it.
  const [kind, ...given] = line.split(' ').slice(0, -2)
  console.log([kind, ...given, ...await cases[kind](...given)].join(' '))
}
