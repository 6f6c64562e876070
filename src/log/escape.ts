// Escapes control characters in untrusted text, for a terminal and for readers that split a log at newlines.

/** Escapes control characters, line separators and bidirectional controls, except tabs and the characters in `kept`. */
export function escapeControls(text: string, kept = ''): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu, (character) => {
    if (character === '\t' || kept.includes(character)) return character;
    return character === '\n' ? '\\n' : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}
