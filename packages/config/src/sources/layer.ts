/**
 * One source of values, sorted by key: a file, the environment, the command line. Layers are laid
 * over one another; for each key the topmost value wins, and lists win as a whole.
 */
import type { Problem } from './problem.ts'
import type { RawNode } from './raw-node.ts'

/** The values of one source. */
export interface Layer {
  /** Values by key path, such as `connect.timeout`. */
  readonly values: ReadonlyMap<string, LayerValue>
  /** What is wrong with the source itself, such as unknown keys. */
  readonly problems: readonly Problem[]
}

/** One value of a layer. */
export interface LayerValue {
  /** The value, or where it is read from. */
  readonly node: RawNode
  /** Whether `node` is the path of a file that holds the secret. */
  readonly isPath: boolean
  /** Absolute directory that relative paths start from. */
  readonly baseDir: string
}

/** The problem of a value that has the wrong shape. */
export function shapeWrong(key: string, node: RawNode, expected: string): Problem {
  const shapes = {
    scalar: 'a single value',
    list: 'a list',
    map: 'a group of keys',
    unread: '',
    refused: '',
  }
  return {
    code: 'CONFIG_SHAPE_WRONG',
    severity: 'error',
    ...(key === '' ? {} : { key }),
    origin: node.origin,
    message: `${expected} is expected here, not ${shapes[node.kind]}`,
  }
}

/** Whether a node is the null of YAML, which counts as not given. */
export function isNull(node: RawNode): boolean {
  return node.kind === 'scalar' && node.text === undefined
}

/** The problem of a secret given in two ways by one source. */
export function givenTwice(key: string, node: RawNode): Problem {
  return {
    code: 'CONFIG_SECRET_TWICE',
    severity: 'error',
    key,
    origin: node.origin,
    message: 'both the secret and a file to read it from are given',
    hint: 'keep one of them',
  }
}
