import '../design/tokens.css'
import '../design/base.css'
import './console.css'

import { render } from 'preact'

import { App } from './app.tsx'
import { followChanges } from './changes.ts'
import { enter } from './session.ts'

void enter()
void followChanges()
const root = document.getElementById('app')
if (root !== null) render(<App />, root)
