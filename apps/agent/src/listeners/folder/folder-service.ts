/** The service of a listener whose `addr` is a folder: its files over HTTP, in this process. */
import type { ReadStream, Stats } from 'node:fs'
import { type FileHandle, realpath, stat } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { type Duplex, duplexPair } from 'node:stream'

import { EXIT, UserError } from '@proj/program-kit'

import { encodePath, folderListing } from './folder-listing.ts'
import { findEntry, openFound } from './folder-path.ts'

const INDEX = 'index.html'

/** Serves the files of a folder on connections that exist in memory alone. */
export class FolderService {
  readonly #root: string
  readonly #hasListing: boolean
  /** Never listens: it gets its connections from `connect`. */
  readonly #server: Server

  private constructor(root: string, hasListing: boolean) {
    this.#root = root
    this.#hasListing = hasListing
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch(() => response.destroy())
    })
    // An agent has a connection for as long as the server keeps the stream.
    this.#server.keepAliveTimeout = 0
  }

  /**
   * @param hasListing - whether a folder without index.html is listed.
   * @throws {UserError} when the folder is not there.
   */
  static async open(folder: string, hasListing: boolean): Promise<FolderService> {
    const root = await realpath(folder).catch(() => undefined)
    if (root === undefined || !(await stat(root)).isDirectory()) {
      throw new UserError(`${folder} is not a folder`, {
        exitCode: EXIT.usage,
        hint: 'give a folder that is there, or the address of a service',
      })
    }
    return new FolderService(root, hasListing)
  }

  /** Opens a connection. */
  connect(): Duplex {
    const [near, far] = duplexPair()
    // What is destroyed on one side has to end on the other one.
    near.once('close', () => far.destroy())
    far.once('close', () => {
      if (!near.readableEnded) near.destroy()
    })
    far.on('error', () => {})
    this.#server.emit('connection', far)
    return near
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.setHeader('X-Content-Type-Options', 'nosniff')
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('Allow', 'GET, HEAD')
      refuse(response, 405)
      return
    }
    const [path, query] = splitTarget(request.url ?? '/')
    const entry = await findEntry(this.#root, path)
    if (entry.kind === 'malformed') refuse(response, 400)
    else if (entry.kind === 'none') refuse(response, 404)
    else if (entry.kind === 'file') await this.#send(request, response, entry.path)
    else if (!path.endsWith('/')) {
      // From the root, so that a path such as //other.example does not become another host.
      const location = `/${encodePath(entry.path)}/${query === undefined ? '' : `?${query}`}`
      response.writeHead(301, { Location: location, 'Content-Length': 0 }).end()
    } else await this.#sendFolder(request, response, entry.path)
  }

  async #sendFolder(
    request: IncomingMessage,
    response: ServerResponse,
    below: string,
  ): Promise<void> {
    const index = await findEntry(this.#root, `/${encodePath(join(below, INDEX))}`)
    if (index.kind === 'file') {
      await this.#send(request, response, index.path)
      return
    }
    if (!this.#hasListing) {
      refuse(response, 404)
      return
    }
    const page = Buffer.from(await folderListing(this.#root, below))
    response.writeHead(200, {
      'Content-Type': 'text/html; charset=utf-8',
      'Content-Security-Policy': "default-src 'none'",
      'Cache-Control': 'no-cache',
      'Content-Length': page.length,
    })
    response.end(request.method === 'HEAD' ? undefined : page)
  }

  async #send(request: IncomingMessage, response: ServerResponse, below: string): Promise<void> {
    const { default: send } = await import('send')
    const file = await openFound(this.#root, below)
    if (file === undefined) {
      refuse(response, 404)
      return
    }
    closeWith(file, response)
    const { ino, dev } = await file.stat()
    // `fd` goes on to the stream that it reads from, so that it is the file that was checked.
    const options = { root: this.#root, index: false, dotfiles: 'deny', fd: file } as const
    send(request, `/${encodePath(below)}`, options)
      .on('error', ({ status = 500 }: { readonly status?: number }) => {
        if (response.headersSent) response.destroy()
        else refuse(response, status)
      })
      .on('file', (_path: string, found: Stats) => {
        // Its headers would be those of another file.
        if (found.ino !== ino || found.dev !== dev) response.destroy()
      })
      .on('stream', (stream: ReadStream) => endWithFile(stream, response))
      .pipe(response)
  }
}

/** Closes the file when the answer is over. One that waits behind another answer has no event of its own then. */
function closeWith(file: FileHandle, response: ServerResponse): void {
  const { socket } = response.req
  const close = (): void => {
    response.off('close', close)
    socket.off('close', close)
    void file.close()
  }
  if (response.closed || socket.closed) void file.close()
  else {
    response.once('close', close)
    socket.once('close', close)
  }
}

/** Ends an answer at its length: a file that grew is not sent further, one that was cut breaks the connection. */
function endWithFile(stream: ReadStream, response: ServerResponse): void {
  const length = Number(response.getHeader('Content-Length'))
  if (length === 0) {
    stream.destroy() // a stream cannot be told to read nothing
    response.end()
    return
  }
  // Ended as if it were complete, the next answer would be read as the rest of this one.
  stream.once('end', () => {
    if (stream.bytesRead < length) response.destroy()
  })
}

function splitTarget(target: string): [path: string, query: string | undefined] {
  const at = target.indexOf('?')
  return at < 0 ? [target, undefined] : [target.slice(0, at), target.slice(at + 1)]
}

function refuse(response: ServerResponse, status: number): void {
  const text = `${status}\n`
  response.writeHead(status, {
    'Content-Type': 'text/plain; charset=utf-8',
    'Content-Length': text.length,
  })
  response.end(response.req.method === 'HEAD' ? undefined : text)
}
