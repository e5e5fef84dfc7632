/**
 * Opens a checkout session for a booking.
 */
Deno.serve(() => new Response("ok"));
