/** The name of an endpoint whose user gave none: two words and digits, such as `calm-otter-4821`. */
import { createHash } from 'node:crypto'

const FIRST =
  'amber apt brave brisk calm clear clever cool coral crisp deft eager early fair fast fine fond fresh gentle glad golden good grand great green happy honest jolly keen kind late light lively lucky mellow merry mild neat nimble noble olive opal plain proud pure quick quiet rapid ready rosy round sharp silver smart snug solid steady still sunny swift tidy true vivid warm wise young zesty'.split(
    ' ',
  )
const SECOND =
  'badger bear beaver bison buck camel cat colt crane crow deer dog dove duck eagle egret elk falcon ferret finch fox frog gecko goat goose gull hare hawk heron horse ibis jay kite koala lark lemur lion lynx mink mole moose newt otter owl panda perch pike pony puffin quail rabbit ram raven robin seal shrew skunk sloth snail stork swan swift tern tiger toad trout wolf wren yak zebra'.split(
    ' ',
  )

/**
 * Makes the name up from where and what is published, so that it is the same again the next time.
 *
 * @param place - parts that tell one publication from another: machine, folder, address.
 * @param attempt - another name for the same place, because the ones before are taken.
 */
export function madeUpName(place: readonly string[], attempt = 0): string {
  const hash = createHash('sha256')
    .update(JSON.stringify([...place, attempt]))
    .digest()
  const first = FIRST[hash.readUInt16BE(0) % FIRST.length] ?? ''
  const second = SECOND[hash.readUInt16BE(2) % SECOND.length] ?? ''
  const digits = hash.readUInt32BE(4) % 10_000
  return `${first}-${second}-${String(digits).padStart(4, '0')}`
}
