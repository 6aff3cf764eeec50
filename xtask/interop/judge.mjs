// Reads a CAR with every reader of @ipld/car and hashes each block anew; prints what it found as JSON: the version, the roots,
// how many blocks there are, and the entries of the indexer, whose offsets are from the start of the file.

import fs from 'node:fs'
import { Readable } from 'node:stream'
import { CarReader, CarBlockIterator, CarCIDIterator } from '@ipld/car'
import { CarIndexer } from '@ipld/car/indexer'
import { CarIndexedReader } from '@ipld/car/indexed-reader'
import { blake2b256 } from '@multiformats/blake2/blake2b'
import { sha256, sha512 } from 'multiformats/hashes/sha2'
import { identity } from 'multiformats/hashes/identity'

const path = process.argv[2]
const hashers = new Map([sha256, sha512, blake2b256, identity].map(hasher => [hasher.code, hasher]))
const bytes = fs.readFileSync(path)

async function check (cid, block) {
  const hasher = hashers.get(cid.multihash.code)
  if (hasher === undefined) throw new Error(`${cid}: multihash 0x${cid.multihash.code.toString(16)} is not known`)
  const digest = await hasher.digest(block)
  if (Buffer.compare(digest.digest, cid.multihash.digest) !== 0) throw new Error(`${cid}: its bytes have another hash`)
}

function same (what, one, other) {
  if (JSON.stringify(one) !== JSON.stringify(other)) throw new Error(`${what}: ${JSON.stringify(one)} is not ${JSON.stringify(other)}`)
}

const reader = await CarReader.fromBytes(bytes)
const roots = (await reader.getRoots()).map(String)
const cids = []
for await (const { cid, bytes: block } of reader.blocks()) {
  await check(cid, block)
  cids.push(String(cid))
}

const blocks = await CarBlockIterator.fromIterable(fs.createReadStream(path))
same('roots of the block iterator', (await blocks.getRoots()).map(String), roots)
const streamed = []
for await (const { cid, bytes: block } of blocks) {
  await check(cid, block)
  streamed.push(String(cid))
}
same('blocks of the block iterator', streamed, cids)

const names = []
for await (const cid of await CarCIDIterator.fromIterable(fs.createReadStream(path))) names.push(String(cid))
same('CIDs of the CID iterator', names, cids)

const entries = []
for await (const { cid, offset, blockOffset, blockLength } of await CarIndexer.fromIterable(Readable.from([bytes]))) {
  await check(cid, bytes.subarray(blockOffset, blockOffset + blockLength))
  entries.push({ cid: String(cid), offset, data_offset: blockOffset, data_size: blockLength })
}
same('entries of the indexer', entries.map(entry => entry.cid), cids)

const random = await CarIndexedReader.fromFile(path)
for (const cid of (await random.getRoots())) {
  const block = await random.get(cid)
  if (block !== undefined) await check(cid, block.bytes)
}
let found = 0
for await (const cid of random.cids()) {
  await check(cid, (await random.get(cid)).bytes)
  found++
}
await random.close()
same('blocks of the indexed reader', found, cids.length)

console.log(JSON.stringify({ version: reader.version, roots, blocks: cids.length, entries }))
