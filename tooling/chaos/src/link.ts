// A network of its own behind a link: a namespace, and a pair of interfaces between it and the namespace of
// this run (src/main.mjs made that one). Faults of the link are made with `ip`, `nft` and `tc`.
import { execFileSync } from 'node:child_process'

import { netns, type NetworkNamespace } from '@proj/testkit/netns'

/** Address of this side of the link. */
export const NEAR_ADDRESS = '192.0.2.1'

const FAR_ADDRESS = '192.0.2.2'
const NEAR = 'chaos0'
const FAR = 'eth0'

/** A link to another network. */
export interface Link extends Disposable {
  /** Put before a command, this runs it on the other side. */
  readonly prefix: readonly string[]
  /** Drops every packet that arrives there, without a word. */
  drop(): void
  /** Ends `drop`. */
  pass(): void
  /** Takes the interface on the other side away from the cable, or back. */
  set(state: 'up' | 'down'): void
  /** Limits the rate in both directions. */
  slow(rate: string): void
}

/** Makes the link. */
export function makeLink(): Link {
  const far = netns()
  run('ip', 'link', 'add', NEAR, 'type', 'veth', 'peer', 'name', FAR, 'netns', far.name)
  run('ip', 'addr', 'add', `${NEAR_ADDRESS}/24`, 'dev', NEAR)
  run('ip', 'link', 'set', NEAR, 'up')
  far.ip('addr', 'add', `${FAR_ADDRESS}/24`, 'dev', FAR)
  far.ip('link', 'set', FAR, 'up')
  const there = (...command: readonly string[]): void => inside(far, ...command)
  return {
    prefix: far.prefix,
    drop() {
      there('nft', 'add', 'table', 'inet', 'chaos')
      const chain = '{ type filter hook input priority 0 ; policy accept ; }'
      there('nft', 'add', 'chain', 'inet', 'chaos', 'in', chain)
      there('nft', 'add', 'rule', 'inet', 'chaos', 'in', 'iifname', FAR, 'drop')
    },
    pass: () => there('nft', 'delete', 'table', 'inet', 'chaos'),
    set: (state) => void far.ip('link', 'set', FAR, state),
    slow(rate) {
      const shape = ['root', 'tbf', 'rate', rate, 'burst', '4kb', 'latency', '1s']
      run('tc', 'qdisc', 'add', 'dev', NEAR, ...shape)
      there('tc', 'qdisc', 'add', 'dev', FAR, ...shape)
    },
    [Symbol.dispose]() {
      run('ip', 'link', 'del', NEAR)
      far[Symbol.dispose]()
    },
  }
}

/** Tells why a link cannot be made to do this here; undefined where it can. */
export function linkMissing(needs: 'drop' | 'slow'): string | undefined {
  try {
    using link = makeLink()
    if (needs === 'drop') link.drop()
    else link.slow('1mbit')
    return undefined
  } catch (error) {
    return error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)
  }
}

function inside(namespace: NetworkNamespace, ...command: readonly string[]): void {
  const [program = '', ...args] = [...namespace.prefix, ...command]
  run(program, ...args)
}

function run(program: string, ...args: readonly string[]): void {
  execFileSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'] })
}
