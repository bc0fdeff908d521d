// What does a strict head cost? Reads, rewrites and writes the same heads, of requests and of
// answers, with @proj/http1 and, as the control, with the shortest parse that splits on CRLF and the
// first colon, copies the pairs and joins them again: no checks, no rules. Runs alternate in one
// process; the table gives medians and their ratio, which is the figure to compare between
// machines. Needs a build.
import { parseArgs } from 'node:util'
import {
  RequestHeadReader,
  ResponseHeadReader,
  rewriteRequestHead,
  rewriteResponseHead,
} from '../../../packages/http1/dist/index.js'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '11' },
    heads: { type: 'string', default: '20000' },
  },
})
const rounds = Number(values.rounds)
const heads = Number(values.heads)

const SMALL =
  'GET /v1/items?limit=20 HTTP/1.1\r\nHost: web.localhost:8000\r\nUser-Agent: bench/1\r\nAccept: */*\r\n\r\n'
const BROWSER = [
  'GET /assets/app/index-4f1c2a.js?version=20240611 HTTP/1.1',
  'Host: web.example.com',
  'Connection: keep-alive',
  'sec-ch-ua: "Chromium";v="126", "Not/A)Brand";v="8"',
  'sec-ch-ua-mobile: ?0',
  'sec-ch-ua-platform: "Linux"',
  'Upgrade-Insecure-Requests: 1',
  'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36',
  'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8',
  'Sec-Fetch-Site: same-origin',
  'Sec-Fetch-Mode: navigate',
  'Sec-Fetch-User: ?1',
  'Sec-Fetch-Dest: document',
  'Referer: https://web.example.com/assets/',
  'Accept-Encoding: gzip, deflate, br, zstd',
  'Accept-Language: en-GB,en;q=0.9,de;q=0.8',
  `Cookie: session=${'a1b2c3d4'.repeat(24)}; theme=dark`,
  'If-None-Match: "66681c2f-1a2b"',
  '\r\n',
].join('\r\n')

const ANSWER = [
  'HTTP/1.1 200 OK',
  'Content-Type: application/json',
  'Date: Tue, 11 Jun 2024 10:11:12 GMT',
  'Connection: keep-alive',
  'Keep-Alive: timeout=5',
  'Content-Length: 27',
  '\r\n',
].join('\r\n')
const PAGE = [
  'HTTP/1.1 200 OK',
  'Server: nginx',
  'Date: Tue, 11 Jun 2024 10:11:12 GMT',
  'Content-Type: text/html; charset=utf-8',
  'Transfer-Encoding: chunked',
  'Connection: keep-alive',
  'Vary: Accept-Encoding',
  'Cache-Control: private, max-age=0, must-revalidate',
  'Strict-Transport-Security: max-age=31536000; includeSubDomains',
  "Content-Security-Policy: default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'",
  'X-Content-Type-Options: nosniff',
  `Set-Cookie: session=${'a1b2c3d4'.repeat(24)}; Path=/; HttpOnly; Secure; SameSite=Lax`,
  'ETag: "66681c2f-1a2b"',
  '\r\n',
].join('\r\n')

const connection = { clientAddress: '203.0.113.7', scheme: 'http', requestId: '0a1b2c3d4e5f-1z' }
const answered = { method: 'GET' }
const visitor = { versionMinor: 1, keepAlive: true }
const requests = new RequestHeadReader()
const responses = new ResponseHeadReader()
let sink = 0

const ofRequests = {
  read: (chunk) => requests.push(chunk),
  write: (head) => rewriteRequestHead(head, connection),
}
const ofResponses = {
  read: (chunk) => responses.push(chunk, answered),
  write: (head) => rewriteResponseHead(head, visitor),
}

const subjectsOf = ({ read, write }) => ({
  'split and join (control)': (chunk) => splitAndJoin(chunk),
  'read (no headers asked)': (chunk) => read(chunk).rest.length + 1,
  'read, headers asked': (chunk) => read(chunk).head.headers.length,
  'read, rewrite, write': (chunk) => Buffer.from(write(read(chunk).head), 'latin1').length,
  'the same in 2 chunks': (chunk) => {
    read(chunk.subarray(0, 60))
    return Buffer.from(write(read(chunk.subarray(60)).head), 'latin1').length
  },
})

const messages = [
  { name: 'small', text: SMALL, subjects: subjectsOf(ofRequests) },
  { name: 'browser', text: BROWSER, subjects: subjectsOf(ofRequests) },
  { name: 'answer', text: ANSWER, subjects: subjectsOf(ofResponses) },
  { name: 'page', text: PAGE, subjects: subjectsOf(ofResponses) },
]
for (const { name, text, subjects } of messages) {
  const chunk = Buffer.from(text, 'latin1')
  const samples = new Map(Object.keys(subjects).map((subject) => [subject, []]))
  for (let round = -2; round < rounds; round++) {
    for (const [subject, run] of Object.entries(subjects)) {
      const started = process.hrtime.bigint()
      for (let count = 0; count < heads; count++) sink += run(chunk)
      const microseconds = Number(process.hrtime.bigint() - started) / 1_000 / heads
      // The first rounds warm the compiler up.
      if (round >= 0) samples.get(subject).push(microseconds)
    }
  }
  const control = median(samples.get('split and join (control)'))
  console.log(`\n${name}: ${chunk.length} bytes, median of ${rounds} rounds of ${heads}`)
  for (const [subject, times] of samples) {
    const middle = median(times)
    console.log(
      `  ${subject.padEnd(26)} ${middle.toFixed(2).padStart(6)} us/head  ${(middle / control).toFixed(2)} x control`,
    )
  }
}
if (sink === 0) throw new Error('nothing was read')

function splitAndJoin(chunk) {
  const end = chunk.indexOf('\r\n\r\n')
  const lines = chunk.latin1Slice(0, end).split('\r\n')
  const words = lines[0].split(' ')
  const headers = []
  for (let at = 1; at < lines.length; at++) {
    const colon = lines[at].indexOf(':')
    headers.push(lines[at].slice(0, colon), lines[at].slice(colon + 1).trim())
  }
  let text = `${words[0]} ${words[1]} HTTP/1.1\r\n`
  for (let at = 0; at < headers.length; at += 2) text += `${headers[at]}: ${headers[at + 1]}\r\n`
  return Buffer.from(`${text}\r\n`, 'latin1').length
}

function median(times) {
  return times.toSorted((a, b) => a - b)[times.length >> 1]
}
