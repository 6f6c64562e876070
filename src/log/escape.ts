// Text that came from elsewhere, made safe for a terminal and for a reader who takes a line for a line.

/** Escapes what moves the cursor, breaks the line or turns its direction; tabs stay, and so does what is `kept`. */
export function escapeControls(text: string, kept = ''): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu, (character) => {
    if (character === '\t' || kept.includes(character)) return character;
    return character === '\n' ? '\\n' : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}
