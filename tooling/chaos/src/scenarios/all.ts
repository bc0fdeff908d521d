// Every scenario, in the order in which they run.
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
import { FEW_DESCRIPTORS, FULL_DISK, STEPPED_CLOCK } from './resources.ts'

export const SCENARIOS: readonly Scenario[] = [
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
]
