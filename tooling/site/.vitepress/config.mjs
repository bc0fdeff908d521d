// The site of the documentation: the pages of the repository as they are, with a search that runs in the
// browser. A link that leads nowhere fails the build.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, relative, resolve } from 'node:path'
import { defineConfig } from 'vitepress'
import { deadFragments } from './dead-fragments.mjs'

const ROOT = resolve(import.meta.dirname, '../../..')
const { repository } = JSON.parse(readFileSync(join(ROOT, 'apps/server/package.json'), 'utf8'))
const SOURCES = `${repository.url.replace(/^git\+|\.git$/g, '')}/blob/main`

// The pages lie outside of this package, where Vue cannot be found.
const VUE = dirname(
  createRequire(createRequire(import.meta.url).resolve('vitepress/package.json')).resolve(
    'vue/package.json',
  ),
)

/** Folders of the repository that have pages. */
const FOLDERS = ['apps', 'docs', 'examples', 'packages']

export default defineConfig({
  title: 'Adit',
  description: 'Reach a service that has no public address through a connection it dials out.',
  lang: 'en',
  srcDir: ROOT,
  outDir: join(ROOT, 'dist-site'),
  cacheDir: join(ROOT, 'node_modules/.vitepress'),
  srcExclude: excluded(),
  // A folder's page is its README on the forge, and its index here.
  rewrites: (page) => page.replace(/(^|\/)README\.md$/, '$1index.md'),
  // in examples; every other link that leads nowhere fails the build
  ignoreDeadLinks: 'localhostLinks',
  markdown: {
    config: (md) => md.core.ruler.push('adit-links', rewriteLinks),
    anchor: { slugify },
    languageAlias: { caddyfile: 'nginx', haproxy: 'nginx', nft: 'nginx' },
  },
  buildEnd({ outDir }) {
    const dead = deadFragments(outDir)
    if (dead.length > 0) {
      throw new Error(`links to headings that are not there:\n${dead.join('\n')}`)
    }
  },
  vite: {
    resolve: { alias: [{ find: /^vue(?=\/|$)/, replacement: VUE }] },
    build: { chunkSizeWarningLimit: 4000 },
  },
  themeConfig: {
    search: { provider: 'local' },
    outline: [2, 3],
    nav: [
      { text: 'Running it for real', link: '/docs/running-it-for-real' },
      { text: 'Error codes', link: '/docs/reference/errors/' },
    ],
    sidebar: [
      group('Guides', 'docs'),
      {
        text: 'Reference',
        collapsed: true,
        items: [
          { text: 'Settings of adit', link: '/docs/reference/agent' },
          { text: 'Settings of adit-server', link: '/docs/reference/server' },
          { text: 'Error codes', link: '/docs/reference/errors/' },
        ],
      },
      folders('Programs', 'apps'),
      folders('Packages', 'packages'),
      folders('Examples', 'examples'),
      group('Decisions', 'docs/decisions'),
    ],
  },
})

/** Everything that is no page of the documentation. */
function excluded() {
  const top = readdirSync(ROOT).filter((name) => !FOLDERS.includes(name) && name !== 'README.md')
  const others = top.map((name) => (statSync(join(ROOT, name)).isDirectory() ? `${name}/**` : name))
  return [...others, '**/node_modules/**', '**/dist/**', '**/CHANGELOG.md', '**/test/**']
}

/** The pages of a folder, by their headings. */
function group(text, folder) {
  const items = readdirSync(join(ROOT, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => ({
      text: titleOf(`${folder}/${name}`),
      link: `/${folder}/${name.replace(/\.md$/, '')}`,
    }))
  return { text, collapsed: folder !== 'docs', items }
}

/** The README of each folder in a folder. */
function folders(text, folder) {
  const items = readdirSync(join(ROOT, folder))
    .filter((name) => existsSync(join(ROOT, folder, name, 'README.md')))
    .map((name) => ({ text: name, link: `/${folder}/${name}/` }))
  return { text, collapsed: true, items }
}

function titleOf(file) {
  const [, title = file] = /^# (.+)$/m.exec(readFileSync(join(ROOT, file), 'utf8')) ?? []
  return title.replaceAll('`', '')
}

/** The address of a heading, as the forge makes it: a link works in both. */
function slugify(heading) {
  return heading
    .trim()
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-')
}

/** Leads links to READMEs to the pages of their folders, and links to other files to the sources. */
function rewriteLinks(state) {
  const { relativePath } = state.env
  for (const { children } of state.tokens) {
    for (const token of children ?? []) {
      const href = token.type === 'link_open' ? token.attrGet('href') : undefined
      if (href && !/^(?:[a-z]+:|#)/.test(href)) token.attrSet('href', here(href, relativePath))
    }
  }
}

function here(href, page) {
  const [path, fragment] = href.split('#')
  const file = relative(ROOT, resolve(ROOT, dirname(page), path))
  const isPage = FOLDERS.some((folder) => file.startsWith(`${folder}/`)) || file === 'README.md'
  const hash = fragment === undefined ? '' : `#${fragment}`
  if (isPage && file.endsWith('.md')) return `${path.replace(/README\.md$/, 'index.md')}${hash}`
  if (isPage && existsSync(join(ROOT, file, 'README.md'))) {
    return `${path.replace(/\/$/, '')}/index.md${hash}`
  }
  // a file that is not there stays as it is, and fails the build
  return existsSync(join(ROOT, file)) ? `${SOURCES}/${file}${hash}` : href
}
