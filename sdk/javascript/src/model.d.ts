/** Tokens of a text for the model that serves the request, without any template. Its profile is in `request.profile`. */
export function countTokens(text: string): number;
