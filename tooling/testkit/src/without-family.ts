// A kernel without IPv6, or without IPv4, for one process: a filter makes `socket()` fail for the
// family with EAFNOSUPPORT, as a kernel built or booted without it does. Switching IPv6 off by sysctl
// is another thing: sockets can then still be made. The filter needs a program in C, compiled once.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const SOURCE = `
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
  unsigned family = (unsigned)atoi(argv[1]);
  struct sock_filter code[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_socket, 0, 3),
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, family, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAFNOSUPPORT),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog filter = { sizeof code / sizeof *code, code };
  if (argc < 3 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return 125;
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter)) return 125;
  execvp(argv[2], argv + 2);
  return 126;
}
`

/** AF_INET and AF_INET6 of Linux. */
const FAMILIES = { ipv4: '2', ipv6: '10' } as const

let program: string | undefined

/** Tells why a family cannot be taken away here; undefined where it can. */
export function withoutFamilyMissing(): string | undefined {
  if (process.platform !== 'linux') return 'seccomp filters are a thing of Linux'
  try {
    execFileSync(compiled(), [FAMILIES.ipv6, 'true'], { stdio: 'ignore' })
    return undefined
  } catch (error) {
    return `no C compiler, or no seccomp: ${error instanceof Error ? error.message : ''}`
  }
}

/** Put before a command, this runs it without a family. */
export function withoutFamily(family: keyof typeof FAMILIES): readonly string[] {
  return [compiled(), FAMILIES[family]]
}

function compiled(): string {
  if (program !== undefined) return program
  const folder = mkdtempSync(join(tmpdir(), 'without-family-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'without-family')
  execFileSync('cc', ['-x', 'c', '-o', path, '-'], {
    input: SOURCE,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  program = path
  return path
}
