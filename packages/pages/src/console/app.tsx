/** The page: head, navigation, the view that the address names, signing in. */
import type { JSX } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'

import { Logo } from '../parts/pictures.tsx'
import { Foreign } from '../parts/text.tsx'
import { Accesses } from './accesses.tsx'
import { Agents } from './agents.tsx'
import { Audit } from './audit.tsx'
import { Certificates } from './certificates.tsx'
import { Configuration } from './configuration.tsx'
import { Confirm } from './confirm.tsx'
import { Domains } from './domains.tsx'
import { Endpoints } from './endpoints.tsx'
import { Limits } from './limits.tsx'
import { Names } from './names.tsx'
import { Nodes } from './nodes.tsx'
import { Overview } from './overview.tsx'
import { Ports } from './ports.tsx'
import { hrefOf, route } from './route.ts'
import {
  access,
  beginSignIn,
  denial,
  notice,
  session,
  signIn,
  signInProblem,
  signInWays,
  signOut,
  wantsSignIn,
} from './session.ts'
import { Tokens } from './tokens.tsx'

/** The views in the order of the navigation. */
const VIEWS: readonly (readonly [view: string, name: string, show: () => JSX.Element])[] = [
  ['', 'Overview', () => <Overview />],
  ['endpoints', 'Endpoints', () => <Endpoints />],
  ['agents', 'Agents', () => <Agents />],
  ['accesses', 'Accesses', () => <Accesses />],
  ['ports', 'Public ports', () => <Ports />],
  ['names', 'Names', () => <Names />],
  ['domains', 'Domains', () => <Domains />],
  ['tokens', 'Tokens', () => <Tokens />],
  ['certificates', 'Certificates', () => <Certificates />],
  ['limits', 'Limits', () => <Limits />],
  ['nodes', 'Nodes', () => <Nodes />],
  ['audit', 'Audit log', () => <Audit />],
  ['configuration', 'Configuration', () => <Configuration />],
]

export function App(): JSX.Element {
  const { view } = route.value
  const found = VIEWS.find(([name]) => name === view)
  const name = found?.[1] ?? 'No such page'
  useEffect(() => {
    document.title = `${name} · Adit console`
  }, [name])
  if (access.value === 'sign-in' || wantsSignIn.value) return <SignIn />
  return (
    <div class="console">
      <Head />
      <div class="frame">
        <nav aria-label="Pages">
          <ul>
            {VIEWS.map(([path, title]) => (
              <li key={path}>
                <a href={hrefOf(path)} aria-current={path === view ? 'page' : undefined}>
                  {title}
                </a>
              </li>
            ))}
          </ul>
        </nav>
        <main>
          {access.value === 'lost' && (
            <p class="banner error" role="alert">
              The server does not answer. The page goes on when it does.
            </p>
          )}
          <p class="notice" role="status">
            {notice.value !== '' && <Foreign text={notice.value} />}
          </p>
          {access.value !== 'unknown' &&
            (found === undefined ? (
              <h2 tabIndex={-1}>There is no such page.</h2>
            ) : (
              // Without it a view would keep the state of the one before.
              <div class="view" key={view}>
                {found[2]()}
              </div>
            ))}
        </main>
      </div>
      <Confirm />
    </div>
  )
}

function Head(): JSX.Element {
  const who = session.value
  return (
    <header class="head">
      <h1>
        <Logo /> Adit <span class="muted">console</span>
      </h1>
      {who !== undefined && (
        <p class="who">
          {who.ends !== null || who.identity !== 'anonymous' ? (
            <Foreign text={who.identity} />
          ) : (
            <span class="muted">
              {who.mayChange ? 'not signed in' : 'not signed in: read only'}
            </span>
          )}
          {who.ends !== null ? (
            <button type="button" onClick={() => void signOut()}>
              Sign out
            </button>
          ) : (
            !who.mayChange && (
              <button type="button" onClick={() => (wantsSignIn.value = true)}>
                Sign in
              </button>
            )
          )}
        </p>
      )}
    </header>
  )
}

function SignIn(): JSX.Element {
  const [token, setToken] = useState('')
  const [provider, setProvider] = useState<string | null>(null)
  const input = useRef<HTMLInputElement>(null)
  useEffect(() => {
    input.current?.focus()
    signInWays().then(
      (ways) => setProvider(ways.provider),
      () => {}, // a token will do
    )
  }, [])
  const attempt = async (sign: () => Promise<void>): Promise<void> => {
    signInProblem.value = ''
    try {
      await sign()
    } catch (error) {
      signInProblem.value = error instanceof Error ? error.message : String(error)
    }
  }
  return (
    <main class="sign-in">
      <h1>Adit console</h1>
      {denial.value !== '' && (
        <p class="note error" role="alert">
          {denial.value}
        </p>
      )}
      {provider !== null && (
        <p>
          <button type="button" class="main" onClick={() => void attempt(beginSignIn)}>
            <span>
              Sign in with <Foreign text={provider} />
            </span>
          </button>
        </p>
      )}
      <p>
        {provider === null ? 'Sign in' : 'Or sign in'} with a token that has the right{' '}
        <code>admin</code>, or with the key in the file <code>adit.operator</code> of the server’s
        data directory.
      </p>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          void attempt(async () => await signIn(token.trim()))
        }}
      >
        <input
          ref={input}
          type="password"
          aria-label="Token or key"
          autocomplete="off"
          dir="ltr"
          required
          value={token}
          onInput={({ currentTarget }) => setToken(currentTarget.value)}
        />
        <button type="submit" class={provider === null ? 'main' : undefined}>
          Sign in
        </button>
        {access.value !== 'sign-in' && (
          <button type="button" onClick={() => (wantsSignIn.value = false)}>
            Cancel
          </button>
        )}
      </form>
      <p class="bad" role="alert">
        {signInProblem.value}
      </p>
      <p class="muted">
        <code>adit-server token create --may admin</code> makes a token. You are signed out after 12
        hours, after 2 hours without use, and when the server starts again.
      </p>
    </main>
  )
}
