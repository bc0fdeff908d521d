import type { ViteUserConfig } from 'vitest/config'

/** What a package may set for its own tests; the rest is the same everywhere. */
export interface PresetOverrides {
  /** Test files. Default: `test/**` files that end in `.test.ts`. */
  readonly include?: readonly string[]
  /** Files left out, besides node_modules. Default: `test/e2e/**`. */
  readonly exclude?: readonly string[]
  /**
   * Time one test may take, ms. Default 60000: a limit against hanging, for a busy machine too. Waits of testkit have
   * two thirds of it where no other limit is given.
   */
  readonly testTimeout?: number
  /** Test files run at once. Default 2. */
  readonly maxWorkers?: number
  /** Ends of the paths of the files that take longest: they begin first, in this order. Default: none. */
  readonly first?: readonly string[]
  /**
   * Overwrites the memory of chunks that a mux session delivered as soon as their receivers have
   * answered that nothing refers to it: a wrong answer shows as wrong bytes. Default false.
   */
  readonly poisonsFreeMemory?: boolean
  /**
   * Makes each `fetch` use a connection of its own: a program may close one that is kept alive just when it is used
   * again. Default false.
   */
  readonly hasFreshConnections?: boolean
  /**
   * Runs test files one after the other in the same process, with the same modules: to load them again
   * for each file takes longer than most files. Only for a package whose tests leave nothing behind, in
   * no module and in no global. Default false.
   */
  readonly sharesModules?: boolean
  /** Base name of the report `pnpm test` adds up, below `.reports/`. Default: unit. */
  readonly report?: string
}

/** Returns the vitest configuration of a package. */
export function preset(overrides?: PresetOverrides): ViteUserConfig
