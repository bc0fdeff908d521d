// The proxies of Debian, each with the least configuration it runs with. They connect from the address
// they listen on, so that a server can tell which proxy a connection came through. Each is optional: a test asks
// for the program first and skips itself with a reason where it is missing.
import { spawnSync } from 'node:child_process'
import { userInfo } from 'node:os'
import { findProgram, realProxy, type ProxyFiles, type RealProxy } from './real-proxy.ts'

/** Paths of the programs; undefined where one is missing, with a warning on standard error. */
export interface ProxyPrograms {
  readonly squid: string | undefined
  readonly tinyproxy: string | undefined
  readonly danted: string | undefined
  readonly microsocks: string | undefined
  readonly privoxy: string | undefined
  readonly haproxy: string | undefined
  readonly ssh: string | undefined
  readonly sshd: string | undefined
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
    privoxy: findProgram('privoxy', 'privoxy'),
    haproxy: findProgram('haproxy', 'haproxy'),
    ssh: findProgram('ssh', 'openssh-client'),
    sshd: findProgram('sshd', 'openssh-server'),
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

/** Starts privoxy on 3128, without filters. */
export function privoxyProxy(program: string): Promise<RealProxy> {
  return realProxy(
    program,
    (folder, host) => ({
      'privoxy.conf': [
        `listen-address ${host}:3128`,
        `logdir ${folder}`,
        'logfile log',
        'toggle 0',
        'keep-alive-timeout 5',
        '',
      ].join('\n'),
    }),
    (folder) => ['--no-daemon', `${folder}/privoxy.conf`],
  )
}

/**
 * Starts haproxy in front of a proxy: on 3128, and with a certificate on 3129 for TLS.
 *
 * @param behind - `host:port` of the proxy
 * @param pem - certificate and key of the TLS port
 */
export function haproxyProxy(program: string, behind: string, pem: string): Promise<RealProxy> {
  return realProxy(
    program,
    (folder, host) => ({
      'proxy.pem': pem,
      'haproxy.cfg': [
        'defaults',
        '  mode tcp',
        '  timeout connect 10s',
        '  timeout client 60s',
        '  timeout server 60s',
        'listen front',
        `  bind ${host}:3128`,
        `  bind ${host}:3129 ssl crt ${folder}/proxy.pem`,
        `  server behind ${behind}`,
        '',
      ].join('\n'),
    }),
    (folder) => ['-db', '-f', `${folder}/haproxy.cfg`],
  )
}

/** Starts `ssh -D` on 1080, with a session to an sshd of its own, which it runs as its ProxyCommand. */
export function sshProxy(ssh: string, sshd: string): Promise<RealProxy> {
  const { uid, username } = userInfo()
  return realProxy(
    '/bin/sh',
    (folder, host) => ({
      sshd_config: [
        `HostKey ${folder}/host`,
        `AuthorizedKeysFile ${folder}/user.pub`,
        'PidFile none',
        // the folder is open to all
        'StrictModes no',
        // otherwise an account without a password is locked
        `UsePAM ${uid === 0 ? 'yes' : 'no'}`,
        '',
      ].join('\n'),
      'start.sh': [
        '#!/bin/sh',
        `cd ${folder}`,
        // what the service makes before it starts
        '[ -d /run/sshd ] || mkdir /run/sshd',
        "for name in host user; do ssh-keygen -q -t ed25519 -N '' -f $name; done",
        `exec ${ssh} -F none -N -D ${host}:1080 -i user -o BatchMode=yes -o ExitOnForwardFailure=yes \\`,
        '  -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \\',
        `  -o "ProxyCommand=${sshd} -i -f ${folder}/sshd_config" ${username}@sshd.test`,
        '',
      ].join('\n'),
    }),
    (folder) => [`${folder}/start.sh`],
    1080,
  )
}
