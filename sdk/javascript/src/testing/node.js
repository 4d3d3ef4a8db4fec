// In place of `guest.js` where Node.js runs the plugin's tests: its clock, randomness and console work, and stay.

export function setConsole() {}
