/** A QR code as lines of text, two rows of modules in each. */
import { styleText } from 'node:util'

import { encode } from 'uqr'

/** Light modules around the code. ISO/IEC 18004 asks for four; cameras are content with two, and a terminal is small. */
const BORDER = 2

/**
 * Draws the code of a text.
 *
 * @param colour - whether dark is black and light is white whatever the terminal has. Without, light modules have the
 *   colour of the text, as is right on a dark terminal.
 * @returns undefined where it has no room.
 */
export function qrCode(
  text: string,
  { columns, rows, colour }: { columns: number; rows: number; colour: boolean },
): string[] | undefined {
  const code = modulesOf(text)
  if (code === undefined || code.length > columns || Math.ceil(code.length / 2) > rows) {
    return undefined
  }
  const lines: string[] = []
  for (let row = 0; row < code.length; row += 2) {
    const [top = [], bottom = []] = [code[row], code[row + 1]]
    const line = top.map((isDark, at) => half(isDark === colour, (bottom[at] ?? false) === colour))
    const drawn = line.join('')
    lines.push(
      colour ? styleText(['black', 'bgWhiteBright'], drawn, { validateStream: false }) : drawn,
    )
  }
  return lines
}

/** True is a dark module. */
function modulesOf(text: string): boolean[][] | undefined {
  try {
    return encode(text, { ecc: 'L', border: BORDER }).data
  } catch {
    return undefined // longer than a code can be
  }
}

function half(isTop: boolean, isBottom: boolean): string {
  if (isTop) return isBottom ? '█' : '▀'
  return isBottom ? '▄' : ' '
}
