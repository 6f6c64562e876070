// What the command line has to say when it cannot log: one line on standard error.

/** Prints `message` after `mpserve: `, and then, of `error`, the stacks of it and its cause. */
export function complain(message: string, error?: Error): void {
  const lines = [`mpserve: ${escapeControls(message)}`];
  if (error?.stack) lines.push(error.stack.slice(error.stack.indexOf('\n    at ') + 1));
  if (error?.cause instanceof Error) lines.push(`caused by ${error.cause.stack}`);
  console.error(lines.join('\n'));
}

/** One line stays one line, and no file name can write to the terminal. */
function escapeControls(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu, (character) =>
    character === '\n' ? '\\n' : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
