// Every scenario, in the order in which they run.
import type { RestartScenario } from '../restart-scenario.ts'
import type { Scenario } from '../scenario.ts'
import { KEEP_ALIVE_RACE, OVERLOAD, SLOW_BODIES_OF_ONE, SLOW_PEERS } from './crowds.ts'
import { CUT, FREEZE_LINK, SLOW_LINE } from './links.ts'
import {
  FREEZE_AGENT,
  FREEZE_SERVER,
  KILL_ACCESS,
  KILL_AGENT,
  KILL_SERVER,
  KILL_SERVICE,
} from './processes.ts'
import {
  KILL_ONE_OF_TWO,
  PRINTERS,
  RESTART_AGENTS,
  ROLLING_CADDY,
  ROLLING_HAPROXY,
  ROLLING_NGINX,
  SOCKET_ACTIVATION,
  UPGRADE_AGENT,
  UPGRADE_SERVER,
} from './restarts.ts'
import { FEW_DESCRIPTORS, FULL_DISK, STEPPED_CLOCK } from './resources.ts'

export const SCENARIOS: readonly (Scenario | RestartScenario)[] = [
  KILL_AGENT,
  KILL_SERVER,
  KILL_SERVICE,
  KILL_ACCESS,
  FREEZE_AGENT,
  FREEZE_SERVER,
  FREEZE_LINK,
  CUT,
  SLOW_LINE,
  FULL_DISK,
  FEW_DESCRIPTORS,
  STEPPED_CLOCK,
  OVERLOAD,
  SLOW_PEERS,
  SLOW_BODIES_OF_ONE,
  KEEP_ALIVE_RACE,
  UPGRADE_SERVER,
  UPGRADE_AGENT,
  RESTART_AGENTS,
  SOCKET_ACTIVATION,
  ROLLING_NGINX,
  ROLLING_HAPROXY,
  ROLLING_CADDY,
  KILL_ONE_OF_TWO,
  PRINTERS,
]
