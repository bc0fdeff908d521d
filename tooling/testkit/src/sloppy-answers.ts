// Answers of services that break the grammar of HTTP/1.1, as they are found in the field, and what a visitor
// gets of each: repaired where they have one reading, rejected with a fault where they have two.

/** What a visitor gets of an answer. */
interface RepairedAnswer {
  /** Its head, byte for byte. */
  readonly head: string
  /** Its body, without framing. */
  readonly body: string
  /** Whether the service's connection carries another request. */
  readonly isKept: boolean
}

/** A shape of an answer. */
interface Shape {
  readonly name: string
  readonly method: 'GET' | 'HEAD'
  /** As the service sends it; the connection ends behind it. */
  readonly bytes: string
  /** What nginx does with it; `older`: versions before 1.23 pass it on. */
  readonly nginx: 'passes' | 'rejects' | 'older'
}

/** A shape with one reading. */
export interface RepairedShape extends Shape {
  /** What becomes of it. */
  readonly result: RepairedAnswer
}

/** A shape with two readings. */
export interface RejectedShape extends Shape {
  /** The fault for which it is rejected. */
  readonly fault: string
}

const OK = 'HTTP/1.1 200 OK\r\n'
const LENGTH = 'Content-Length: 5\r\n'
const CHUNKED = 'Transfer-Encoding: chunked\r\n'
const HELLO = `${LENGTH}\r\nhello`
const CHUNKS = '5\r\nhello\r\n0\r\n\r\n'

/** An answer with the body "hello" and these lines. */
function answer(lines: string, isKept = false, body = 'hello'): RepairedAnswer {
  return { head: `${OK}${lines}\r\n`, body, isKept }
}

type Row<Result> = readonly [name: string, bytes: string, result: Result, nginx: Shape['nginx']]

const REPAIRED: readonly Row<RepairedAnswer>[] = [
  ['all lines end in LF', 'HTTP/1.1 200 OK\nContent-Length: 5\n\nhello', answer(LENGTH), 'passes'],
  ['one line ends in LF', `${OK}X-A: b\n${HELLO}`, answer(`X-A: b\r\n${LENGTH}`), 'passes'],
  [
    'a control byte in a value',
    `${OK}X-A: b\x01c\r\n${HELLO}`,
    answer(`X-A: b c\r\n${LENGTH}`),
    'passes',
  ],
  [
    'a control byte in the reason',
    `HTTP/1.1 200 O\x1bK\r\n${HELLO}`,
    { ...answer(''), head: `HTTP/1.1 200 O K\r\n${LENGTH}\r\n` },
    'passes',
  ],
  ['a name with a separator', `${OK}X(A): b\r\n${HELLO}`, answer(LENGTH), 'passes'],
  ['a name with a byte above 127', `${OK}X\xe9: b\r\n${HELLO}`, answer(LENGTH), 'passes'],
  ['a name with a blank', `${OK}X A: b\r\n${HELLO}`, answer(LENGTH), 'rejects'],
  ['a blank behind a name', `${OK}X-A : b\r\n${HELLO}`, answer(`X-A: b\r\n${LENGTH}`), 'rejects'],
  ['a folded line', `${OK}X-A: b\r\n \t c\r\n${HELLO}`, answer(`X-A: b c\r\n${LENGTH}`), 'rejects'],
  [
    'a folded line behind one that is left out',
    `${OK}X-B: 1\r\nX(A): b\r\n c\r\n${HELLO}`,
    answer(`X-B: 1\r\n${LENGTH}`),
    'rejects',
  ],
  ['two blanks in the status line', `HTTP/1.1  200 OK\r\n${HELLO}`, answer(LENGTH), 'passes'],
  [
    'a space behind a chunk size',
    `${OK}${CHUNKED}\r\n5 \r\nhello\r\n0  \r\n\r\n`,
    answer(CHUNKED),
    'passes',
  ],
  [
    'a tab behind a chunk size',
    `${OK}${CHUNKED}\r\n5\t;a=b\r\nhello\r\n0\r\n\r\n`,
    answer(CHUNKED),
    'passes',
  ],
  ['chunk lines end in LF', `${OK}${CHUNKED}\r\n5\nhello\n0\n\n`, answer(CHUNKED), 'passes'],
  [
    'a chunk size of 16 digits',
    `${OK}${CHUNKED}\r\n0000000000000005\r\nhello\r\n0\r\n\r\n`,
    answer(CHUNKED, true),
    'passes',
  ],
  [
    'chunked, chunked',
    `${OK}Transfer-Encoding: chunked, Chunked\r\n\r\n${CHUNKS}`,
    answer(CHUNKED),
    'older',
  ],
  [
    'chunked in two headers',
    `${OK}${CHUNKED}X-A: b\r\n${CHUNKED}\r\n${CHUNKS}`,
    answer(`${CHUNKED}X-A: b\r\n`),
    'older',
  ],
  ['chunks of HTTP/1.0', `HTTP/1.0 200 OK\r\n${CHUNKED}\r\n${CHUNKS}`, answer(CHUNKED), 'passes'],
  ['a length twice', `${OK}${LENGTH}${HELLO}`, answer(LENGTH), 'older'],
  ['a length as a list', `${OK}Content-Length: 5, 5\r\n\r\nhello`, answer(LENGTH), 'older'],
  [
    'identity and a length',
    `${OK}Transfer-Encoding: identity\r\n${HELLO}`,
    answer(LENGTH),
    'older',
  ],
  ['identity', `${OK}Transfer-Encoding: identity\r\n\r\nhello`, answer(CHUNKED), 'older'],
  ['an empty length', `${OK}Content-Length:\r\n\r\nhello`, answer(CHUNKED), 'older'],
  [
    'length and chunks of a 304',
    `HTTP/1.1 304 Not Modified\r\n${LENGTH}${CHUNKED}\r\n`,
    { head: `HTTP/1.1 304 Not Modified\r\n${CHUNKED}\r\n`, body: '', isKept: false },
    'older',
  ],
  [
    'length and chunks of a 204',
    `HTTP/1.1 204 No Content\r\n${LENGTH}${CHUNKED}\r\n`,
    { head: 'HTTP/1.1 204 No Content\r\n\r\n', body: '', isKept: false },
    'older',
  ],
  [
    'Set-Cookie as a trailer',
    `${OK}${CHUNKED}\r\n5\r\nhello\r\n0\r\nSet-Cookie: a=b\r\n\r\n`,
    answer(CHUNKED),
    'passes',
  ],
  [
    '150 lines',
    `${OK}${'X-A: b\r\n'.repeat(150)}${HELLO}`,
    answer(`${'X-A: b\r\n'.repeat(150)}${LENGTH}`, true),
    'passes',
  ],
]

const REJECTED: readonly Row<string>[] = [
  ['two lengths', `${OK}Content-Length: 6\r\n${HELLO}`, 'CONTENT_LENGTH_REPEATED', 'older'],
  [
    'a length with a sign',
    `${OK}Content-Length: +5\r\n\r\nhello`,
    'CONTENT_LENGTH_INVALID',
    'older',
  ],
  ['length and chunks', `${OK}${LENGTH}${CHUNKED}\r\n${CHUNKS}`, 'FRAMING_CONFLICT', 'older'],
  [
    'another coding',
    `${OK}Transfer-Encoding: gzip, chunked\r\n\r\n${CHUNKS}`,
    'TRANSFER_ENCODING_UNSUPPORTED',
    'older',
  ],
  [
    'identity and chunks',
    `${OK}Transfer-Encoding: identity\r\n${CHUNKED}\r\n${CHUNKS}`,
    'TRANSFER_ENCODING_UNSUPPORTED',
    'older',
  ],
  [
    'a control byte before the coding',
    `${OK}Transfer-Encoding: \x0bchunked\r\n\r\n${CHUNKS}`,
    'BYTE_INVALID',
    'older',
  ],
  [
    'a blank behind the name of the length',
    `${OK}Content-Length : 5\r\n\r\nhello`,
    'HEADER_NAME_SPACED',
    'rejects',
  ],
  [
    'a separator in the name of the length',
    `${OK}Content-Len(gth: 5\r\n\r\nhello`,
    'HEADER_NAME_INVALID',
    'passes',
  ],
  ['a folded length', `${OK}Content-Length: 5\r\n 0\r\n\r\nhello`, 'HEADER_FOLDED', 'rejects'],
  ['NUL in a value', `${OK}X-A: b\0c\r\n${HELLO}`, 'BYTE_INVALID', 'rejects'],
  ['CR in a value', `${OK}X-A: b\rX-C: d\r\n${HELLO}`, 'CR_BARE', 'rejects'],
  ['a line without a colon', `${OK}X-A\r\n${HELLO}`, 'HEADER_NAME_INVALID', 'passes'],
  ['a line of a blank', `${OK}X-A: b\r\n \r\n${HELLO}`, 'HEADER_FOLDED', 'rejects'],
  ['another protocol', `ICY 200 OK\r\n${HELLO}`, 'LINE_INVALID', 'passes'],
]

/** All shapes with one reading; those that are valid come last. */
export const REPAIRED_ANSWERS: readonly RepairedShape[] = [
  {
    name: 'length and chunks of HEAD',
    method: 'HEAD' as const,
    bytes: `${OK}${LENGTH}${CHUNKED}\r\n`,
    result: answer(CHUNKED, false, ''),
    nginx: 'older' as const,
  },
  ...REPAIRED.map(([name, bytes, result, nginx]) => {
    return { name, method: 'GET' as const, bytes, result, nginx }
  }),
].toSorted((one, other) => Number(one.result.isKept) - Number(other.result.isKept))

/** All shapes with two readings. */
export const REJECTED_ANSWERS: readonly RejectedShape[] = REJECTED.map(
  ([name, bytes, fault, nginx]) => ({ name, method: 'GET', bytes, fault, nginx }),
)
