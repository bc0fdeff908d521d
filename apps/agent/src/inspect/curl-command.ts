/**
 * An exchange as a command of curl. A command is an attack on the shell of the person who copies it, so every byte
 * is quoted: text in single quotes, bodies as octal escapes of printf. Without -g, --path-as-is and the rest curl
 * itself would read brackets, dots and signs in the values.
 */
import { isToken } from '@proj/http1'

/** What the command sends. */
export interface CurlRequest {
  readonly method: string
  readonly url: string
  /** Name, value, name, value; one character per byte. */
  readonly headers: readonly string[]
  readonly body: Buffer
  /** Bytes that the body really had. */
  readonly bodyBytes: number
}

/** Headers that curl makes. */
const OWN = new Set(['connection', 'content-length', 'expect', 'host', 'transfer-encoding'])

/** Writes the command for a POSIX shell. */
export function curlCommand({ method, url, headers, body, bodyBytes }: CurlRequest): string {
  const words = ['curl', '-g', '--path-as-is']
  const hasBody = body.length > 0
  if (method === 'HEAD') words.push('-I')
  else if (method !== (hasBody ? 'POST' : 'GET')) words.push('-X', quote(method))
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] ?? ''
    const value = headers[at + 1] ?? ''
    if (!isToken(name) || OWN.has(name.toLowerCase()) || /[\0\r\n]/.test(value)) continue
    if (name.toLowerCase() === 'accept-encoding') {
      words.push('--compressed')
      continue
    }
    // A semicolon in place of the colon sends a header without a value; a colon would remove it.
    words.push('-H', quote(value === '' ? `${name};` : `${name}: ${value}`))
  }
  if (hasBody) words.push('-H', quote('Expect:'), '--data-binary', '@-')
  words.push('--', quote(url))
  const command = hasBody ? `printf -- ${printfFormat(body)} | ${words.join(' ')}` : words.join(' ')
  if (bodyBytes <= body.length) return command
  return `# the body is incomplete: ${body.length} of ${bodyBytes} bytes\n${command}`
}

/** One word of a shell, byte for byte: the text has one character per byte. */
function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`
}

function printfFormat(body: Buffer): string {
  let out = "'"
  for (const byte of body) {
    if (byte === 0x27) out += String.raw`'\''`
    else if (byte === 0x25) out += '%%'
    else if (byte === 0x5c) out += String.raw`\\`
    else if (byte < 0x20 || byte >= 0x7f) out += `\\${byte.toString(8).padStart(3, '0')}`
    else out += String.fromCharCode(byte)
  }
  return `${out}'`
}
