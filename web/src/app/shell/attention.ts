import { useGetRunCountsQuery } from "@runstone/react";
import { useEffect } from "react";
import calm from "./icon.svg";
import waiting from "./icon-waiting.svg";

/** The page's title and icon tell that runs need somebody, and nothing else: a tab in the background can be left alone.
 * Gives how many there are. */
export function useAttention(): number {
  const { data } = useGetRunCountsQuery({});
  const count = data?.needs_input ?? 0;
  useEffect(() => {
    document.title = count > 0 ? `(${count}) Runstone` : "Runstone";
    let link = document.querySelector<HTMLLinkElement>('link[rel="icon"]');
    if (link === null) {
      link = document.createElement("link");
      link.rel = "icon";
      document.head.append(link);
    }
    link.href = count > 0 ? waiting : calm;
  }, [count]);
  return count;
}
