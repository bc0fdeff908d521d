/**
 * Why a service is not reachable: name, agent, service, rules for visitors, in the order in which a request needs
 * them. What comes behind the first step that fails is not judged: it could only mislead.
 */
import type { DiagnosisStep, EndpointState } from '@proj/pages/console'
import type { LastOutcome, StreamOutcome } from '@proj/tunnel/server'

/** What a diagnosis is made of. */
export interface EndpointFacts {
  /** The identity that has reserved it; undefined: none has. */
  readonly reservedFor: string | undefined
  /** `tcp`: it carries no HTTP; undefined: it is not served here, or both. */
  readonly kind: 'http' | 'tcp' | undefined
  readonly urls: readonly string[]
  /** Public port; undefined: it has none. */
  readonly port: number | undefined
  /** The certificate that browsers get for it; undefined: the proxy port speaks no TLS. */
  readonly certificate: { readonly fits: boolean; readonly expires: string | undefined } | undefined
  /** Sessions of this node, and how many of them do not answer now. */
  readonly sessions: number
  readonly suspects: number
  /** Sessions on other nodes. */
  readonly elsewhere: number
  /** Whether the services of all its agents fail their health checks. */
  readonly isDown: boolean
  readonly last: LastOutcome | undefined
  /** What the rules ask visitors for; empty: there are none. */
  readonly rules: readonly string[]
  /** Visitors that rules and limits rejected in the last hour, and all of them. */
  readonly rejected: number
  readonly requests: number
}

/** A certificate that ends sooner is worth a warning, ms. */
const SOON_MS = 14 * 86_400_000

/** What each outcome of a stream says of the service, and what its owner can do. */
const OUTCOMES: Readonly<Partial<Record<StreamOutcome, readonly [text: string, todo: string]>>> = {
  serviceRefused: [
    'the service refuses connections',
    'Start the service on the machine of the agent, or change the address that the agent forwards to.',
  ],
  serviceTimeout: [
    'the service does not accept connections in time',
    'Look at the load of the service, and at firewalls between the agent and it.',
  ],
  serviceUnreachable: [
    'the agent cannot reach the service',
    'Look at the address that the agent forwards to, and at the network between both.',
  ],
  serviceReset: [
    'the service broke off a connection',
    'Look at the log of the service at the time of the failure.',
  ],
  serviceDown: [
    'the service fails the health checks of its agent',
    'Look at the log of the service, and at the health check that the agent is set to.',
  ],
  endpointUnknown: [
    'the agent does not serve the endpoint any more',
    'Look at the listeners of the agent: adit status on its machine.',
  ],
  upstreamLost: [
    'the connection to the agent was lost while a request was on it',
    'Look at the network between agent and server.',
  ],
}

/** The steps of an endpoint, in order. */
export function diagnose(facts: EndpointFacts, nowMs: number): DiagnosisStep[] {
  const steps: DiagnosisStep[] = []
  const add = (step: DiagnosisStep): void => {
    const before = steps.find(({ state }) => state === 'bad')
    steps.push(
      before === undefined
        ? step
        : { step: step.step, state: 'unchecked', text: `not checked: ${before.step} comes first` },
    )
  }
  add(nameStep(facts, nowMs))
  add(agentStep(facts))
  add(serviceStep(facts))
  add(rulesStep(facts))
  return steps
}

/** The state of an endpoint by its steps. */
export function stateOf(steps: readonly DiagnosisStep[]): EndpointState {
  if (steps.some(({ state }) => state === 'bad')) return 'down'
  if (steps.some(({ state }) => state === 'warn')) return 'degraded'
  return steps.some(({ state }) => state === 'unknown') ? 'unknown' : 'reachable'
}

function nameStep(facts: EndpointFacts, nowMs: number): DiagnosisStep {
  const { reservedFor, urls, port, kind, certificate } = facts
  const isServed = facts.sessions + facts.elsewhere > 0
  const step = 'name'
  if (!isServed && reservedFor === undefined) {
    return {
      step,
      state: 'bad',
      text: 'no agent serves this name, and no identity has reserved it',
      todo: 'Look at the spelling of the name, here and at the agent.',
      who: 'visitor',
    }
  }
  const kept =
    reservedFor === undefined ? 'it is not reserved' : `it is reserved for ${reservedFor}`
  if (kind === 'tcp') {
    const way =
      port === undefined ? 'adit access reaches it' : `port ${port} of this server leads to it`
    return { step, state: 'ok', text: `${way}; ${kept}` }
  }
  const where = urls[0] === undefined ? 'it has no address of its own' : `${urls[0]} leads to it`
  if (certificate !== undefined && !certificate.fits) {
    return {
      step,
      state: 'warn',
      text: `${where}, but no certificate of the proxy port has this name`,
      todo: 'Add a certificate for the domain to proxy.tls.',
      who: 'operator',
    }
  }
  const leftMs =
    certificate?.expires === undefined ? Infinity : Date.parse(certificate.expires) - nowMs
  if (leftMs < SOON_MS) {
    const days = Math.floor(leftMs / 86_400_000)
    return {
      step,
      state: leftMs < 0 ? 'bad' : 'warn',
      text:
        leftMs < 0
          ? `${where}, but its certificate has expired`
          : `${where}; its certificate ends in ${days} days`,
      todo: 'Renew the certificate and reload the server.',
      who: 'operator',
    }
  }
  return { step, state: 'ok', text: `${where}; ${kept}` }
}

function agentStep({ sessions, suspects, elsewhere, reservedFor }: EndpointFacts): DiagnosisStep {
  const step = 'agent'
  if (sessions + elsewhere === 0) {
    const whose = reservedFor === undefined ? '' : ` of ${reservedFor}`
    return {
      step,
      state: 'bad',
      text: 'no agent that serves it is connected',
      todo: `Start the agent${whose}, or look at why it cannot connect: adit status on its machine.`,
      who: 'agent',
    }
  }
  const count = (number: number): string => (number === 1 ? 'one session' : `${number} sessions`)
  if (suspects > 0 && suspects === sessions && elsewhere === 0) {
    return {
      step,
      state: 'warn',
      text: `${count(sessions)} of an agent, and none answers now`,
      todo: 'Look at the network of the agent.',
      who: 'agent',
    }
  }
  const others =
    elsewhere === 0 ? '' : `${sessions === 0 ? '' : ', '}${count(elsewhere)} on other nodes`
  return { step, state: 'ok', text: `${sessions === 0 ? '' : `${count(sessions)} here`}${others}` }
}

function serviceStep({ isDown, last, sessions }: EndpointFacts): DiagnosisStep {
  const step = 'service'
  if (sessions === 0) {
    return {
      step,
      state: 'unknown',
      text: 'agents on other nodes serve it: open the console there',
    }
  }
  const outcome = isDown ? 'serviceDown' : last?.outcome
  if (outcome === undefined) {
    return { step, state: 'unknown', text: 'no visitor has asked for it since its agent connected' }
  }
  const found = OUTCOMES[outcome]
  const ago = last === undefined ? '' : `, ${Math.round(last.ageMs / 1_000)} s ago`
  if (found === undefined) return { step, state: 'ok', text: `it answered${ago}` }
  const isBad = outcome !== 'serviceReset' && outcome !== 'upstreamLost'
  const text = `${found[0]}${isDown ? '' : ago}`
  return { step, state: isBad ? 'bad' : 'warn', text, todo: found[1], who: 'agent' }
}

function rulesStep({ rules, rejected, requests }: EndpointFacts): DiagnosisStep {
  const step = 'rules'
  const asked = rules.length === 0 ? 'all may visit' : `visitors need: ${rules.join(', ')}`
  if (rejected === 0) return { step, state: 'ok', text: asked }
  const share = requests > 0 && rejected >= requests / 2
  return {
    step,
    state: share ? 'warn' : 'ok',
    text: `${asked}; ${rejected} of ${requests} visitors were rejected in the last hour`,
    ...(share && {
      todo: 'Look at the last failures: their codes say which rule or limit rejected them.',
      who: 'visitor' as const,
    }),
  }
}
