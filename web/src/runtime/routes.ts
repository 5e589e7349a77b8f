/** Where the API is, below the server's address. */
export const ROUTES = { base: "/api/v1" } as const;
