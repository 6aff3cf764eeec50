// age as npm's age-encryption has it, with post-quantum keys:
//   age.mjs keygen -o FILE              a new key file, as age-keygen -pq writes it
//   age.mjs recipient FILE              the recipient of its key
//   age.mjs seal IN OUT RECIPIENT...
//   age.mjs open FILE IN                prints what was sealed

import fs from 'node:fs'
import { Decrypter, Encrypter, generateHybridIdentity, identityToRecipient } from 'age-encryption'

const [command, ...args] = process.argv.slice(2)

function identity (file) {
  return fs.readFileSync(file, 'utf8').split('\n').find(line => line.startsWith('AGE-SECRET-KEY-'))
}

if (command === 'keygen') {
  const key = await generateHybridIdentity()
  const created = new Date().toISOString().replace(/\.\d+Z/, 'Z')
  const text = `# created: ${created}\n# public key: ${await identityToRecipient(key)}\n${key}\n`
  fs.writeFileSync(args[1], text, { mode: 0o600 })
} else if (command === 'recipient') {
  console.log(await identityToRecipient(identity(args[0])))
} else if (command === 'seal') {
  const [from, to, ...recipients] = args
  const encrypter = new Encrypter()
  for (const recipient of recipients) encrypter.addRecipient(recipient)
  fs.writeFileSync(to, await encrypter.encrypt(fs.readFileSync(from)))
} else if (command === 'open') {
  const decrypter = new Decrypter()
  decrypter.addIdentity(identity(args[0]))
  process.stdout.write(await decrypter.decrypt(fs.readFileSync(args[1])))
} else {
  throw new Error(`${command} is no command`)
}
