// Signs each answer: the text goes out as the model writes it, and a line of the tenant's follows it.

import { definePostprocessing } from 'riad-sdk';
import * as settings from 'riad-sdk/settings';

/** One answer. */
class Signing {
  push(piece) {
    return piece;
  }

  finish(reason) {
    const line = settings.get('signature', 'Answered by {{name}}.');
    // An answer that was cut off says so.
    return reason === 'length' ? `…\n\n${line}` : `\n\n${line}`;
  }
}

export const postprocessing = definePostprocessing(Signing);
