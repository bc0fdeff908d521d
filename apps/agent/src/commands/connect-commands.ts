import { escapeLines } from '@proj/config'
import { EXIT, type Invocation, jsonLine, UserError } from '@proj/program-kit'
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
 * `adit connect explain` and `adit connect diagnose`: the dialer's report on the connection to the server.
 *
 * @param access - whether the URL is that of a proxy port.
 * @returns the exit code: 0, or one per kind of failure (docs/exit-codes.md).
 */
export async function runConnectCommand(
  question: ConnectQuestion,
  access: boolean,
  { loaded, json, around }: Invocation<AgentTree, OwnCommands>,
): Promise<number> {
  const { env, stdout, signals } = around
  const server = await serverOptions(loaded.settings.connect, env)
  const { url, headers } = await sessionHandshake(server, access ? 'connect' : 'listen')
  const options: ReportOptions = { ...server.connect, headers, signal: signals.stop }
  try {
    if (question === 'explain') {
      const report = await explainRoute(url, options)
      stdout.write(json ? jsonLine(report) : `${escapeLines(formatRouteReport(report))}\n`)
      return report.problems.length === 0 ? EXIT.ok : EXIT.failed
    }
    const report = await diagnose(url, options)
    stdout.write(json ? jsonLine(report) : `${escapeLines(formatDiagnoseReport(report))}\n`)
    return report.exitCode
  } catch (error) {
    if (!(error instanceof TypeError || error instanceof RangeError)) throw error
    throw new UserError(error.message, { exitCode: EXIT.usage, cause: error })
  }
}
