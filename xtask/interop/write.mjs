// Writes CARs into a folder with every writer of @ipld/car; prints as JSON what each has.

import fs from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { CarBufferWriter, CarWriter } from '@ipld/car'
import * as cbor from '@ipld/dag-cbor'
import * as json from '@ipld/dag-json'
import * as pb from '@ipld/dag-pb'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { identity } from 'multiformats/hashes/identity'
import { sha256, sha512 } from 'multiformats/hashes/sha2'

const folder = process.argv[2]
fs.mkdirSync(folder, { recursive: true })

async function block (codec, value, hasher = sha256, version = 1) {
  const bytes = codec.encode(value)
  return { cid: CID.create(version, codec.code, await hasher.digest(bytes)), bytes, codec: codec.name, hash: hasher.name }
}

const text = content => new TextEncoder().encode(content)
const links = (block, size) => [{ Hash: block.cid, Name: 'link', Tsize: size }]
// As UnixFS has directories.
const directory = (block, size) => ({ Data: Uint8Array.of(8, 1), Links: links(block, size) })
const leaf = await block(raw, text('leaf'))
const empty = await block(raw, text(''))
const inside = await block(raw, text('inside'), identity)
const long = await block(raw, new Uint8Array(70_000).fill(7), sha512)
const plain = await block(pb, directory(leaf, leaf.bytes.length))
const old = await block(pb, directory(plain, plain.bytes.length + leaf.bytes.length), sha256, 0)
const behind = await block(raw, text('behind'))
const insideNode = await block(cbor, { behind: behind.cid }, identity)
const map = await block(cbor, { leaf: leaf.cid, links: [inside.cid, long.cid, insideNode.cid], old: old.cid, number: 1 << 30 })
const told = await block(json, { map: map.cid, bytes: text('bytes'), empty: empty.cid })
const blocks = [leaf, empty, inside, long, plain, old, behind, insideNode, map, told]

async function streamed (name, { writer, out }, written) {
  const file = fs.createWriteStream(`${folder}/${name}.car`, { flags: 'a' })
  const taken = pipeline(Readable.from(out), file)
  for (const block of written) await writer.put(block)
  await writer.close()
  await taken
}

function buffered (name, roots, written) {
  const writer = CarBufferWriter.createWriter(new ArrayBuffer(100_000))
  for (const block of written) writer.write(block)
  for (const root of roots) writer.addRoot(root, { resize: true })
  fs.writeFileSync(`${folder}/${name}.car`, writer.close({ resize: true }))
}

const made = []
function tell (name, roots, blocks) {
  const count = key => blocks.reduce((counts, block) => ({ ...counts, [block[key]]: (counts[block[key]] ?? 0) + 1 }), {})
  made.push({
    name,
    roots: roots.map(String),
    blocks: blocks.map(({ cid, bytes }) => ({ cid: String(cid), data_size: bytes.length })),
    codecs: count('codec'),
    hash_functions: count('hash')
  })
}

async function make (name, roots, written) {
  await streamed(name, CarWriter.create(roots), written)
  tell(name, roots, written)
}

await make('no blocks', [], [])
await make('no root', [], blocks)
await make('one root', [told.cid], blocks)
await make('roots of each kind', blocks.map(block => block.cid), blocks)
await make('300 roots', new Array(300).fill(leaf.cid), [leaf])
await make('a root that is not there', [told.cid], [leaf])
await make('parents first', [told.cid], blocks.toReversed())
await make('repeated blocks', [told.cid], [...blocks, leaf, leaf, told])

const other = await block(pb, { Data: text('no UnixFS'), Links: links(leaf, leaf.bytes.length) })
await make('dag-pb that is no UnixFS', [other.cid], [leaf, other])

await streamed('appended', CarWriter.create([told.cid]), blocks.slice(0, 4))
await streamed('appended', CarWriter.createAppender(), blocks.slice(4))
tell('appended', [told.cid], blocks)

buffered('buffer', [told.cid, old.cid, inside.cid], blocks)
tell('buffer', [told.cid, old.cid, inside.cid], blocks)

await streamed('roots updated', CarWriter.create([leaf.cid, plain.cid]), blocks)
const fd = fs.openSync(`${folder}/roots updated.car`, 'r+')
await CarWriter.updateRootsInFile(fd, [plain.cid, map.cid])
fs.closeSync(fd)
tell('roots updated', [plain.cid, map.cid], blocks)

console.log(JSON.stringify(made))
