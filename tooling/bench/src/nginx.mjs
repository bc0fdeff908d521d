// @ts-check
// nginx from the system, in two roles, each a process of its own: the service behind the legs, and the
// one-hop proxy to compare with. One process without a master, as our server and our agent are one
// event loop each, and nothing survives when it is ended. It cannot be asked for port 0, so a free port
// is picked and the start is tried again if the port was taken meanwhile.
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { StartedProcess } from '@proj/scripts/started-process'

const START_ATTEMPTS = 3
const START_TIMEOUT_MS = 5_000

/**
 * Serves files whose name is their size.
 *
 * @param {string} folder - of this process alone
 * @param {readonly number[]} sizes - bytes
 */
export function startNginxService(folder, sizes) {
  const files = join(folder, 'files')
  mkdirSync(files, { recursive: true })
  for (const size of sizes) writeFileSync(join(files, String(size)), Buffer.alloc(size, 'adit'))
  return start('nginx service', folder, `root ${files}; location / { }`, '')
}

/**
 * @typedef {object} ProxyOptions
 * @property {number} [maxRequests] - at once; one more is answered 503. Default: no limit
 * @property {number} [keepAlive] - idle connections to the service that are kept. Default: 64
 * @property {{ cert: string, key: string }} [tls] - files of the certificate it shows. Default: no TLS
 * @property {boolean} [isToTls] - what it forwards to speaks TLS. Default: false
 */

/**
 * Forwards `/upload` to one port and everything else to another, without storing bodies.
 *
 * @param {string} folder - of this process alone
 * @param {{ web: number, sink: number }} ports
 * @param {ProxyOptions} [options]
 */
export function startNginxProxy(
  folder,
  { web, sink },
  { maxRequests, keepAlive = 64, tls, isToTls = false } = {},
) {
  const kept = `keepalive ${keepAlive}; keepalive_requests 1000000000;`
  const scheme = isToTls ? 'https' : 'http'
  const upstreams = `
  upstream web { server 127.0.0.1:${web}; ${kept} }
  upstream sink { server 127.0.0.1:${sink}; ${kept} }
  ${maxRequests === undefined ? '' : 'limit_conn_zone $server_name zone=all:1m; limit_conn_log_level info;'}`
  const locations = `
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_request_buffering off;
    proxy_max_temp_file_size 0;
    ${maxRequests === undefined ? '' : `limit_conn all ${maxRequests};`}
    location / { proxy_pass ${scheme}://web; }
    location /upload { proxy_pass ${scheme}://sink; }`
  return start('nginx proxy', folder, locations, upstreams, tls)
}

/**
 * @param {string} name
 * @param {string} folder
 * @param {string} server - directives of the server block
 * @param {string} upstreams
 * @param {{ cert: string, key: string }} [tls]
 */
async function start(name, folder, server, upstreams, tls) {
  mkdirSync(folder, { recursive: true })
  for (let attempt = 1; ; attempt++) {
    const port = await freePort()
    const file = join(folder, 'nginx.conf')
    writeFileSync(file, configuration(folder, port, server, upstreams, tls))
    const args = ['-c', file, '-e', 'stderr', '-p', folder]
    const process_ = new StartedProcess(name, 'nginx', args)
    if (await isListening(port)) return { process: process_, port }
    await process_.stop()
    if (attempt === START_ATTEMPTS) throw new Error(`${name} did not start`)
  }
}

/**
 * @param {string} folder
 * @param {number} port
 * @param {string} server
 * @param {string} upstreams
 * @param {{ cert: string, key: string } | undefined} tls
 */
function configuration(folder, port, server, upstreams, tls) {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `  ${kind}_temp_path ${folder}/${kind};`)
    .join('\n')
  return `
daemon off;
master_process off;
pid ${folder}/nginx.pid;
events { worker_connections 16384; }
http {
${temporary}
  access_log off;
  sendfile on;
  default_type text/plain;
  client_max_body_size 0;
  keepalive_requests 1000000000;
${upstreams}
  server {
    listen 127.0.0.1:${port}${tls === undefined ? '' : ' ssl'};
    ${tls === undefined ? '' : secured(tls)}
    ${server}
  }
}
`
}

/** @param {{ cert: string, key: string }} tls */
function secured({ cert, key }) {
  return `ssl_certificate ${cert}; ssl_certificate_key ${key}; ssl_session_cache shared:tls:4m; ssl_protocols TLSv1.2 TLSv1.3;`
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0
  server.close()
  await once(server, 'close')
  return port
}

/** @param {number} port */
async function isListening(port) {
  const deadline = performance.now() + START_TIMEOUT_MS
  while (performance.now() < deadline) {
    const socket = connect({ host: '127.0.0.1', port })
    const connected = await once(socket, 'connect').then(
      () => true,
      () => false,
    )
    socket.destroy()
    if (connected) return true
    await delay(20)
  }
  return false
}
