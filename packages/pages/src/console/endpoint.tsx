/** One endpoint: why its service is not reachable, and what its visitors got in the last hour. */
import type { JSX } from 'preact'

import type { DiagnosisStep, EndpointDetail, Failure } from '../console-contract.ts'
import { formatClock, formatMoment } from '../parts/format.ts'
import { OutcomeIcon } from '../parts/pictures.tsx'
import { Foreign } from '../parts/text.tsx'
import { History } from './history.tsx'
import { useValue } from './resource.ts'
import { hrefOf } from './route.ts'
import { type Column, Problem, Table } from './table.tsx'
import { endpointName } from './texts.tsx'
import { StateIcon, STEP_ICONS } from './states.tsx'

const STEPS = {
  name: 'Name',
  agent: 'Agent',
  service: 'Service',
  rules: 'Rules for visitors',
} as const

const WHO = {
  operator: 'The operator of this server should act.',
  agent: 'The owner of the agent should act.',
  visitor: 'The visitor, or who gave the address, should act.',
} as const

const FAILURES: readonly Column<Failure>[] = [
  {
    name: 'Time',
    of: ({ time }) => (
      <time dateTime={time} title={formatMoment(time)}>
        {formatClock(time)}
      </time>
    ),
  },
  { name: 'Status', of: ({ status }) => (status === 0 ? 'TCP' : status) },
  {
    name: 'Code',
    of: ({ code }) =>
      code === '' ? <span class="muted">sent by the service</span> : <code>{code}</code>,
  },
  {
    name: 'Request',
    of: ({ method, path }) =>
      method === '' ? (
        '–'
      ) : (
        <>
          <Foreign text={method} /> <Foreign text={path} />
        </>
      ),
  },
  {
    name: 'Request id',
    of: ({ requestId }) => (
      <code>
        <Foreign text={requestId || '–'} />
      </code>
    ),
  },
]

export function EndpointPage({
  name,
  tenant,
}: {
  readonly name: string
  readonly tenant: string
}): JSX.Element {
  const query = tenant === '' ? '' : `?${new URLSearchParams({ tenant })}`
  const resource = useValue<EndpointDetail>(`endpoints/${encodeURIComponent(name)}${query}`)
  const detail = resource.value.value
  return (
    <>
      <p>
        <a href={hrefOf('endpoints')}>Endpoints</a>
      </p>
      <h2 tabIndex={-1}>
        <Foreign text={endpointName(name, tenant)} />
      </h2>
      <Problem resource={resource} />
      {detail !== undefined && <Detail detail={detail} />}
    </>
  )
}

function Detail({ detail }: { readonly detail: EndpointDetail }): JSX.Element {
  const { state, summary, steps, failures, history, agents, urls } = detail
  const first = steps.find((step) => step.state === 'bad' || step.state === 'warn')
  return (
    <>
      <p class={`verdict ${state}`}>
        <StateIcon state={state} />
        <b>
          <Foreign text={summary} />
        </b>{' '}
        {first?.who !== undefined && WHO[first.who]}
      </p>
      {urls.length > 0 && (
        <p>
          {urls.map((url) => (
            <span class="fact" key={url}>
              {/^https?:/.test(url) ? (
                <a href={url} target="_blank" rel="noreferrer">
                  <Foreign text={url} />
                </a>
              ) : (
                <Foreign text={url} />
              )}
            </span>
          ))}
        </p>
      )}
      <ol class="steps">
        {steps.map((step) => (
          <Step key={step.step} step={step} />
        ))}
        <li class="step">
          <OutcomeIcon outcome={failures.length === 0 ? 'ok' : 'warn'} word="" />
          <div>
            <h3>Last failures</h3>
            {failures.length === 0 ? (
              <p class="muted">None since the server started.</p>
            ) : (
              <Table
                label="Last failures"
                rows={failures}
                columns={FAILURES}
                keyOf={(failure) => JSON.stringify(failure)}
              />
            )}
          </div>
        </li>
      </ol>
      {history !== null && <History history={history} />}
      {agents.length > 0 && (
        <p>
          Served by{' '}
          {agents.map((agent) => (
            <a class="fact" key={agent} href={hrefOf('agents')}>
              <Foreign text={agent} />
            </a>
          ))}
        </p>
      )}
    </>
  )
}

function Step({ step }: { readonly step: DiagnosisStep }): JSX.Element {
  const [outcome, word] = STEP_ICONS[step.state]
  return (
    <li class="step">
      <OutcomeIcon outcome={outcome} word={`${word}:`} />
      <div>
        <h3>{STEPS[step.step]}</h3>
        <p class={step.state === 'unchecked' ? 'muted' : ''}>
          <Foreign text={step.text} />
        </p>
        {step.todo !== undefined && (
          <p>
            <span class="muted">What to do:</span> <Foreign text={step.todo} />
          </p>
        )}
      </div>
    </li>
  )
}
