// The proxies of Debian, each with the least configuration it runs with. They connect from the address
// they listen on, so that a server can tell which proxy a connection came through. Each is optional: a test asks
// for the program first and skips itself with a reason where it is missing.
import { spawnSync } from 'node:child_process'
import { findProgram, realProxy, type ProxyFiles, type RealProxy } from './real-proxy.ts'

/** Paths of the programs; undefined where one is missing, with a warning on standard error. */
export interface ProxyPrograms {
  readonly squid: string | undefined
  readonly tinyproxy: string | undefined
  readonly danted: string | undefined
  readonly microsocks: string | undefined
  /** Gives dante its own accounts, which needs root. */
  readonly unshare: string | undefined
}

/** Looks for the programs. */
export function proxyPrograms(): ProxyPrograms {
  const unshare = findProgram('unshare', 'util-linux')
  const canMount = unshare !== undefined && spawnSync(unshare, ['--mount', 'true']).status === 0
  if (!canMount) {
    process.stderr.write('SKIPPED: dante with passwords needs root, for accounts of its own\n')
  }
  return {
    squid: findProgram('squid', 'squid-openssl'),
    tinyproxy: findProgram('tinyproxy', 'tinyproxy'),
    danted: findProgram('danted', 'dante-server'),
    microsocks: findProgram('microsocks', 'microsocks'),
    unshare: canMount ? unshare : undefined,
  }
}

/**
 * Starts squid on 3128, and with a certificate on 3129 for TLS.
 *
 * @param rules - lines of its configuration; `$FOLDER` is where its files are.
 * @param files - files it needs. `proxy.pem` is certificate and key of the TLS port.
 */
export function squidProxy(
  program: string,
  rules: readonly string[],
  files: ProxyFiles = {},
): Promise<RealProxy> {
  return realProxy(
    program,
    (folder, host) => ({
      ...files,
      'squid.conf': [
        `http_port ${host}:3128`,
        ...('proxy.pem' in files ? [`https_port ${host}:3129 tls-cert=${folder}/proxy.pem`] : []),
        'pid_filename none',
        'netdb_filename none',
        'pinger_enable off',
        'cache deny all',
        'cache_mem 8 MB',
        'max_filedescriptors 1024',
        'shutdown_lifetime 0 seconds',
        'visible_hostname proxy.test',
        `tcp_outgoing_address ${host}`,
        `coredump_dir ${folder}`,
        `access_log stdio:${folder}/access.log`,
        'logfile_rotate 0',
        `cache_log ${folder}/cache.log`,
        ...rules.map((rule) => rule.replaceAll('$FOLDER', folder)),
        '',
      ].join('\n'),
    }),
    (folder) => ['-N', '-d', '1', '-f', `${folder}/squid.conf`],
  )
}

/**
 * Starts tinyproxy on 3128.
 *
 * @param lines - lines of its configuration; `$HOST` is its address.
 */
export function tinyproxyProxy(program: string, lines: readonly string[]): Promise<RealProxy> {
  return realProxy(
    program,
    (folder, host) => ({
      'tinyproxy.conf': [
        `Port 3128`,
        `Listen ${host}`,
        `LogFile "${folder}/log"`,
        'MaxClients 50',
        ...lines.map((line) => line.replaceAll('$HOST', host)),
        '',
      ].join('\n'),
    }),
    (folder) => ['-d', '-c', `${folder}/tinyproxy.conf`],
  )
}

/** Starts microsocks on 1080. */
export function microsocksProxy(program: string, args: readonly string[] = []): Promise<RealProxy> {
  return realProxy(
    program,
    () => ({}),
    (_folder, host) => [
      '-i',
      host,
      '-p',
      '1080',
      ...args.map((arg) => arg.replaceAll('$HOST', host)),
    ],
    1080,
  )
}
