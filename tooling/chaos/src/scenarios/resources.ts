// A machine that runs out of disk or descriptors, and a clock that is set.
import { execFile, execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'

import { missingPrograms } from '@proj/scripts/programs'
import { reservedNames, reserveName } from '@proj/tunnel'

import { NODE } from '../program.ts'
import type { Scenario, Scene } from '../scenario.ts'
import { SERVER } from '../stage.ts'

const DISK = '3m'
const NAMES_PER_ROUND = 60
/** Room that is left on the full disk, at most: the end of it comes within a row of writes. */
const MAX_ROOM_BYTES = 192 * 1024

export const FULL_DISK: Scenario = {
  name: 'full-disk',
  fault:
    'data_dir on a disk of 3 MiB that is full, while names are reserved and tokens created; kill -9',
  expects: 'visitors notice nothing; each acknowledged name and token is there afterwards',
  missing: () => mountMissing(),
  stage(folder) {
    mkdirSync(dataOf(folder))
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK},mode=0700`, 'tmpfs', dataOf(folder)])
    return { server: { args: ['--names.max-per-identity', '100000'] } }
  },
  cleanUp: (folder) => void execFileSync('umount', [dataOf(folder)]),
  minOkShare: 0.5,
  async act(scene) {
    const { stage } = scene
    const names: string[] = []
    const figures = { acknowledged: 0, rejected: 0 }
    do {
      await reserve(scene, names, figures) // room for the first ones
      const filler = fill(stage.dataDir, scene.random.between(0, MAX_ROOM_BYTES))
      const whileFull = performance.now()
      await reserve(scene, names, figures)
      await scene.recovered(whileFull) // visitors are served meanwhile
      await stage.server.kill()
      rmSync(filler)
      await stage.server.start()
      await scene.recovered(performance.now())
      const kept = new Set(
        (await reservedNames({ url: stage.upstreamUrl })).map((one) => one.endpoint),
      )
      const lost = names.filter((name) => !kept.has(name))
      scene.check(lost.length === 0, `${lost.length} acknowledged names lost; first: ${lost[0]}`)
    } while (!scene.isOver)
    scene.figures['names acknowledged'] = figures.acknowledged
    scene.figures['names rejected'] = figures.rejected
    await tokensOnAFullDisk(scene)
  },
}

export const FEW_DESCRIPTORS: Scenario = {
  name: 'few-descriptors',
  fault: 'a server with 256 descriptors, agents with 128; 400 idle visitors of one address',
  expects: 'visitors of another address are served, and agents may come',
  missing: () => programsMissing('prlimit'),
  stage: {
    agents: 2,
    server: { prefix: ['prlimit', '--nofile=256:256'] },
    agent: { prefix: ['prlimit', '--nofile=128:128'] },
  },
  load: { from: '127.0.0.2', visitors: 8 },
  minOkShare: 0.9,
  async act(scene) {
    const [agent] = scene.stage.agents
    do {
      const since = performance.now()
      const { port } = scene.stage.targets.http
      const idle = Array.from({ length: 400 }, () => idleVisitor(port))
      await scene.pause(1000, 3000)
      await agent?.kill()
      await agent?.start()
      await scene.recovered(since)
      for (const socket of idle) socket.destroy()
      await scene.pause(300, 1000)
    } while (!scene.isOver)
  },
}

const FAKETIME = ['x86_64', 'aarch64']
  .map((machine) => `/usr/lib/${machine}-linux-gnu/faketime/libfaketimeMT.so.1`)
  .find((file) => existsSync(file))

export const STEPPED_CLOCK: Scenario = {
  name: 'stepped-clock',
  fault: 'the wall clock of server and agent is set by hours, both ways, and by a year',
  expects: 'nothing is lost: time-outs go by a clock that is not set',
  missing: () => (FAKETIME === undefined ? 'no libfaketime (Debian package faketime)' : undefined),
  stage(folder) {
    writeFileSync(clockOf(folder), '+0')
    const env = {
      LD_PRELOAD: FAKETIME ?? '',
      FAKETIME_TIMESTAMP_FILE: clockOf(folder),
      FAKETIME_CACHE_DURATION: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    }
    return { server: { env }, agent: { env } }
  },
  minOkShare: 0.98,
  async act(scene) {
    do {
      const step = scene.random.pick(['+2h', '-2h', '+400d', '-36h', '+90s'])
      const since = performance.now()
      writeFileSync(clockOf(join(scene.stage.dataDir, '..')), step)
      await scene.pause(3000, 6000) // the file is looked at each second
      await scene.recovered(since)
    } while (!scene.isOver)
  },
}

/** Reserves names until some of them are rejected, or so many are there. */
async function reserve(
  scene: Scene,
  names: string[],
  figures: { acknowledged: number; rejected: number },
): Promise<void> {
  let rejected = 0
  for (let at = 0; at < NAMES_PER_ROUND && rejected < 3; at++) {
    const name = `name-${names.length}-${scene.random.between(0, 1e9)}`
    try {
      await reserveName({ url: scene.stage.upstreamUrl }, name)
      names.push(name)
      figures.acknowledged += 1
    } catch {
      rejected += 1
      figures.rejected += 1
    }
  }
}

/** The same for tokens, which a command writes to a store that no server has open. */
async function tokensOnAFullDisk(scene: Scene): Promise<void> {
  const store = join(scene.stage.dataDir, 'tokens')
  const acknowledged: string[] = []
  const create = async (): Promise<boolean> => {
    const name = `token-${acknowledged.length}`
    const own = ['--endpoints', 'x', '--name', name, '--data-dir', store]
    const { code } = await run([SERVER, 'token', 'create', ...own])
    if (code === 0) acknowledged.push(name)
    return code === 0
  }
  scene.check(await create(), 'no token could be created while there was room')
  const filler = fill(scene.stage.dataDir, 0)
  for (let at = 0; at < 5; at++) if (!(await create())) break
  rmSync(filler)
  const { stdout } = await run([SERVER, 'token', 'list', '--data-dir', store, '--json'])
  const lost = acknowledged.filter((name) => !stdout.includes(`"${name}"`))
  scene.check(lost.length === 0, `${lost.length} acknowledged tokens lost; first: ${lost[0]}`)
  scene.figures['tokens acknowledged'] = acknowledged.length
}

/** Writes until the disk is full but for so many bytes, and returns the file. */
function fill(folder: string, roomBytes: number): string {
  const file = join(folder, 'filler')
  for (const bytes of [65_536, 4096]) {
    try {
      for (;;) writeFileSync(file, Buffer.alloc(bytes), { flag: 'a' })
    } catch {
      // full for pieces of this size
    }
  }
  truncateSync(file, Math.max(0, statSync(file).size - roomBytes))
  return file
}

async function run(args: readonly string[]): Promise<{ code: number; stdout: string }> {
  return await new Promise((resolve) => {
    execFile(NODE, args, (error, stdout) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), stdout })
    })
  })
}

function idleVisitor(port: number): Socket {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  return socket
}

function mountMissing(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'mounting a disk takes root'
  return undefined
}

function programsMissing(name: string): string | undefined {
  const missing = missingPrograms([{ name, debian: 'util-linux', usedFor: 'limits' }])
  return missing.length > 0 ? `no ${name} (Debian package util-linux)` : undefined
}

function dataOf(folder: string): string {
  return join(folder, 'data')
}

function clockOf(folder: string): string {
  return join(folder, 'clock')
}
