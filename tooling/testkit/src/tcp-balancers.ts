// Load balancers for TCP that put a header of the PROXY protocol in front of each connection. They listen on 3128
// and connect from the address they listen on, so that a server can tell them from a visitor.
import { existsSync } from 'node:fs'

import { findProgram, realProxy, type RealProxy } from './real-proxy.ts'

/** A load balancer and the version of the protocol that it sends. */
export type TcpBalancerName = 'haproxy v1' | 'haproxy v2' | 'nginx v1'

const NGINX_STREAM = '/usr/lib/nginx/modules/ngx_stream_module.so'

/** Path of the program; undefined where it or its module is missing. */
export function tcpBalancerProgram(name: TcpBalancerName): string | undefined {
  if (name !== 'nginx v1') return findProgram('haproxy', 'haproxy')
  return existsSync(NGINX_STREAM) ? findProgram('nginx', 'nginx-light') : undefined
}

/**
 * Starts a load balancer in front of a port of loopback.
 *
 * @param program - of `tcpBalancerProgram`.
 */
export function tcpBalancer(
  name: TcpBalancerName,
  program: string,
  port: number,
): Promise<RealProxy> {
  if (name === 'nginx v1') {
    return realProxy(
      program,
      (folder, host) => ({
        'nginx.conf': [
          `load_module ${NGINX_STREAM};`,
          `daemon off; pid ${folder}/pid; worker_processes 1;`,
          'events { worker_connections 128; }',
          'stream {',
          `  server { listen ${host}:3128; proxy_pass 127.0.0.1:${port}; proxy_bind ${host}; proxy_protocol on; }`,
          '}',
          '',
        ].join('\n'),
      }),
      (folder) => ['-c', `${folder}/nginx.conf`, '-p', folder, '-e', 'stderr'],
    )
  }
  return realProxy(
    program,
    (_, host) => ({
      'haproxy.cfg': [
        'defaults',
        '  mode tcp',
        '  timeout connect 10s',
        '  timeout client 1m',
        '  timeout server 1m',
        'listen balancer',
        `  bind ${host}:3128`,
        `  source ${host}`,
        `  server behind 127.0.0.1:${port} ${name === 'haproxy v1' ? 'send-proxy' : 'send-proxy-v2'}`,
        '',
      ].join('\n'),
    }),
    (folder) => ['-db', '-f', `${folder}/haproxy.cfg`],
  )
}
