import '../design/tokens.css'
import '../design/base.css'
import './inspector.css'

import { render } from 'preact'

import { takeToken } from './api.ts'
import { App } from './app.tsx'
import { follow, watchFilter } from './live.ts'

takeToken()
watchFilter()
void follow()
const root = document.getElementById('app')
if (root !== null) render(<App />, root)
