// Runs a tool of the system: with its full path, arguments as a list, no shell, a fixed locale and almost
// no environment. Time and output are limited.
import { execFile } from 'node:child_process'

/** Folder of the tools of Windows; not from the environment, which could name another program. */
export const WINDOWS_TOOLS = 'C:\\Windows\\System32'

/** Longest run of one tool, ms. */
const TIMEOUT_MS = 1_500
/** Most output of one tool; enough for 50000 sockets of netstat. */
const MAX_OUTPUT_BYTES = 8 * 1024 * 1024

/**
 * Runs a tool and returns its standard output, also when it exits with an error (lsof exits with 1 when
 * it finds nothing). Undefined when the tool is missing, takes too long or has too much output.
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
