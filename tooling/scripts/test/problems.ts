import { workspaceFixture, type Files } from './workspace-fixture.ts'

/** What a check finds wrong with a small repository of these files. */
export function problems(check: (root: string) => string[], files: Files): string[] {
  using root = workspaceFixture(files)
  return check(root.path)
}
