// Web servers of Debian, each with the least configuration it runs with: as services that say `marker` at /marker
// and something else elsewhere, and as proxies in front of a port of loopback. Each is optional: a test asks for
// the program first and skips itself with a reason where it is missing.
import { findProgram, realProxy, type RealProxy } from './real-proxy.ts'

const PORT = 3128

/** Paths of the programs; undefined where one is missing, with a warning on standard error. */
export interface WebPrograms {
  readonly nginx: string | undefined
  readonly caddy: string | undefined
  readonly apache: string | undefined
  readonly gunicorn: string | undefined
  readonly haproxy: string | undefined
}

/** Looks for the programs. */
export function webPrograms(): WebPrograms {
  return {
    nginx: findProgram('nginx', 'nginx-light'),
    caddy: findProgram('caddy', 'caddy'),
    apache: findProgram('apache2', 'apache2'),
    gunicorn: findProgram('gunicorn', 'gunicorn'),
    haproxy: findProgram('haproxy', 'haproxy'),
  }
}

/**
 * Starts nginx, as a service or as a proxy.
 *
 * @param port - of loopback that requests are sent on to; undefined: a service.
 */
export function nginxServer(program: string, port?: number): Promise<RealProxy> {
  const upstream =
    port === undefined ? '' : `upstream edge { server 127.0.0.1:${port} max_fails=0; keepalive 4; }`
  const locations =
    port === undefined
      ? 'location / { return 200 other; } location = /marker { return 200 marker; }'
      : `location / {
          proxy_pass http://edge; proxy_http_version 1.1;
          proxy_set_header Connection ""; proxy_next_upstream off;
        }`
  return realProxy(
    program,
    (folder, host) => ({
      'nginx.conf': `
        daemon off; master_process off; pid ${folder}/nginx.pid;
        events { worker_connections 64; }
        http {
          ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${folder}/${kind};`).join(' ')}
          access_log off; large_client_header_buffers 4 32k;
          ${upstream}
          server { listen ${host}:${PORT}; ${locations} }
        }`,
    }),
    (folder) => ['-c', `${folder}/nginx.conf`, '-e', 'stderr', '-p', folder],
    PORT,
  )
}

/** Starts Caddy, as a service or as a proxy; see {@link nginxServer}. */
export function caddyServer(program: string, port?: number): Promise<RealProxy> {
  const routes =
    port === undefined
      ? [
          {
            match: [{ path: ['/marker'] }],
            handle: [{ handler: 'static_response', body: 'marker' }],
            terminal: true,
          },
          { handle: [{ handler: 'static_response', body: 'other' }] },
        ]
      : [
          {
            handle: [{ handler: 'reverse_proxy', upstreams: [{ dial: `127.0.0.1:${port}` }] }],
          },
        ]
  return realProxy(
    program,
    (folder, host) => ({
      'caddy.json': JSON.stringify({
        admin: { disabled: true, config: { persist: false } },
        storage: { module: 'file_system', root: folder },
        apps: {
          http: {
            servers: {
              edge: {
                listen: [`${host}:${PORT}`],
                automatic_https: { disable: true },
                routes,
              },
            },
          },
        },
      }),
    }),
    (folder) => ['run', '--config', `${folder}/caddy.json`],
    PORT,
  )
}

const APACHE_MODULES = ['mpm_event', 'authz_core']

/** Starts Apache as a service. */
export function apacheServer(
  program: string,
  modules = '/usr/lib/apache2/modules',
): Promise<RealProxy> {
  return realProxy(
    program,
    (folder, host) => ({
      marker: 'marker',
      'apache.conf': [
        ...APACHE_MODULES.map((name) => `LoadModule ${name}_module ${modules}/mod_${name}.so`),
        `ServerRoot ${folder}`,
        'ServerName a.b',
        'User nobody',
        'Group nogroup',
        `Listen ${host}:${PORT}`,
        `PidFile ${folder}/pid`,
        `DefaultRuntimeDir ${folder}`,
        `DocumentRoot ${folder}`,
        `ErrorLog ${folder}/log`,
        '',
      ].join('\n'),
    }),
    (folder) => ['-f', `${folder}/apache.conf`, '-D', 'FOREGROUND'],
    PORT,
  )
}

/** Starts gunicorn as a service. */
export function gunicornServer(program: string): Promise<RealProxy> {
  return realProxy(
    program,
    () => ({
      'app.py': [
        'def app(environ, start):',
        '    environ["wsgi.input"].read()',
        '    body = b"marker" if environ["PATH_INFO"] == "/marker" else b"other"',
        '    start("200 OK", [("Content-Length", str(len(body)))])',
        // gunicorn sends what it gets, also behind the head of an answer to HEAD, where a connection ends with it
        '    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]',
        '',
      ].join('\n'),
    }),
    (folder, host) => [...workerArguments(folder), '-b', `${host}:${PORT}`, 'app:app'],
    PORT,
  )
}

/** Starts HAProxy as a service, which answers by itself. */
export function haproxyServer(program: string): Promise<RealProxy> {
  const answer = 'http-request return status 200 content-type text/plain string'
  return realProxy(
    program,
    (_, host) => ({
      'haproxy.cfg': [
        'defaults',
        '  mode http',
        '  timeout connect 10s',
        '  timeout client 1m',
        '  timeout server 1m',
        'frontend service',
        `  bind ${host}:${PORT}`,
        `  ${answer} marker if { path /marker }`,
        `  ${answer} other`,
        '',
      ].join('\n'),
    }),
    (folder) => ['-db', '-f', `${folder}/haproxy.cfg`],
    PORT,
  )
}

/** One worker that keeps connections. */
function workerArguments(folder: string): string[] {
  const worker = ['-k', 'gthread', '--threads', '2', '--keep-alive', '30']
  return [...worker, '--graceful-timeout', '1', '--chdir', folder, '--worker-tmp-dir', folder]
}
