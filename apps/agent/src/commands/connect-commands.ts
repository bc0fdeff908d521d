import { escapeLines } from '@proj/config'
import { EXIT, type Invocation, jsonLine, type TextOutput, UserError } from '@proj/program-kit'
import {
  diagnose,
  explainRoute,
  formatDiagnoseReport,
  formatRouteReport,
  type ReportOptions,
} from '@proj/dialer'
import { sessionHandshake } from '@proj/tunnel'

import type { OwnCommands } from './commands.ts'
import { serverOptions } from '../connect/server-options.ts'
import type { AgentTree } from '../settings.ts'

/** The two commands on the connection to the server. */
export type ConnectQuestion = 'explain' | 'diagnose'

/**
 * `adit connect explain` and `adit connect diagnose`: the dialer's report on the connection to the server; of
 * several servers, one report after the other.
 *
 * @param access - whether the URL is that of a proxy port.
 * @returns the exit code: 0, or one per kind of failure (docs/exit-codes.md), that of the first failure.
 */
export async function runConnectCommand(
  question: ConnectQuestion,
  access: boolean,
  { loaded, json, around }: Invocation<AgentTree, OwnCommands>,
): Promise<number> {
  const server = await serverOptions(loaded.settings.connect, around.env)
  let exitCode: number = EXIT.ok
  for (const url of server.url) {
    const handshake = await sessionHandshake({ ...server, url }, access ? 'connect' : 'listen')
    const { signals } = around
    const options = { ...server.connect, headers: handshake.headers, signal: signals.stop }
    const code = await report(question, handshake.url, options, json, around.stdout)
    if (exitCode === EXIT.ok) exitCode = code
  }
  return exitCode
}

/** Prints the report on one server. */
async function report(
  question: ConnectQuestion,
  url: string,
  options: ReportOptions,
  json: boolean,
  stdout: TextOutput,
): Promise<number> {
  try {
    if (question === 'explain') {
      const route = await explainRoute(url, options)
      stdout.write(json ? jsonLine(route) : `${escapeLines(formatRouteReport(route))}\n`)
      return route.problems.length === 0 ? EXIT.ok : EXIT.failed
    }
    const steps = await diagnose(url, options)
    stdout.write(json ? jsonLine(steps) : `${escapeLines(formatDiagnoseReport(steps))}\n`)
    return steps.exitCode
  } catch (error) {
    if (!(error instanceof TypeError || error instanceof RangeError)) throw error
    throw new UserError(error.message, { exitCode: EXIT.usage, cause: error })
  }
}
