import { useSignOutMutation } from "@runstone/react";

/** Ends this browser's session, and leaves nothing of the ledger on the page. */
export function useSigningOut(): () => void {
  const [signOut] = useSignOutMutation();
  return () => {
    void signOut()
      .unwrap()
      .then(
        () => window.location.assign("/"),
        () => undefined,
      );
  };
}
