/**
 * One unit vector per text, in order, of the model that the documents were indexed with; zeros for a text without a known token.
 * Tokens are billed to the tenant. Throws `invalid_argument` for more texts than `limits.embedding_inputs`.
 */
export function embed(texts: string[]): number[][];
