// Runs one of the system's own tools: by its full path, with arguments as a list, no shell, a fixed
// locale, almost no environment, bounded in time and output.
import { execFile } from 'node:child_process'

/** Where the tools of Windows are; asking the environment would let it choose the program. */
export const WINDOWS_TOOLS = 'C:\\Windows\\System32'

/** Longest run of one tool, in milliseconds. */
const TIMEOUT_MS = 1_500
/** Most output read; 50000 sockets of netstat fit. */
const MAX_OUTPUT_BYTES = 8 * 1024 * 1024

/**
 * Runs a tool and returns its standard output, also when it exits with an error (lsof exits with 1
 * both for "none" and for "not allowed"). Undefined when it is missing, hangs or says too much.
 */
export async function runTool(path: string, args: readonly string[]): Promise<string | undefined> {
  return await new Promise((resolve) => {
    execFile(
      path,
      args,
      {
        encoding: 'utf8',
        env: { LC_ALL: 'C', SystemRoot: 'C:\\Windows' },
        maxBuffer: MAX_OUTPUT_BYTES,
        timeout: TIMEOUT_MS,
        killSignal: 'SIGKILL',
        windowsHide: true,
      },
      (error, stdout) => {
        const ended = error === null || typeof error.code === 'number'
        resolve(ended && error?.killed !== true ? stdout : undefined)
      },
    )
  })
}
